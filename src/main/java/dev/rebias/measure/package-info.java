/**
 * How a layer is measured: its errors, the correction that follows from their means, and what that leaves of them. A {@link dev.rebias.measure.Measurement} is filled while samples go by, in one or two of several ways
 * ({@link dev.rebias.device.Method}): by sums of every error, by sums of the layer's input per class of taps, by its Gram matrix, or by the second moments of its unfolded input, from which new weights
 * are chosen. The sums are made on a device
 * ({@link dev.rebias.device.Sums}); what follows from them is arithmetic on small matrices, done here for every device alike. The result is {@link dev.rebias.measure.Moments}.
 */
package dev.rebias.measure;
