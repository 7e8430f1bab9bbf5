/**
 * How a layer is measured: its errors, the correction that follows from their means, and what that leaves of them. A
 * {@link dev.rebias.measure.Measurement} collects sums by one or two methods ({@link dev.rebias.device.Method}): of the
 * errors; of the input per class of taps; its Gram matrix, alone or jointly with the float layer's input; or, for new
 * weights, the second moments of the unfolded input. The sums are made on a device ({@link dev.rebias.device.Sums},
 * {@link dev.rebias.device.UnfoldedSums}); what follows from them is arithmetic on small matrices, done here for every
 * device alike. The result is {@link dev.rebias.measure.Moments}.
 */
package dev.rebias.measure;
