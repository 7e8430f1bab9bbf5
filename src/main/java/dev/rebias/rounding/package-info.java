/**
 * Rounds every weight anew, given the covariance H of the layer's inputs: arithmetic on small matrices, in double
 * precision, which knows no device and no file.
 *
 * <p>For a row w on its grid and the ideal real row t, the error's variance is (w - t) H (w - t)'.
 * {@link dev.rebias.rounding.Rounding} looks for the w on the grid that makes this small, and finds t where the float
 * network's inputs differ from the quantised one's; {@code Beam} follows the most promising beginnings of a short row
 * at once. {@link dev.rebias.rounding.RowGrid} is a row's grid, {@link dev.rebias.rounding.Cholesky} the one
 * decomposition that is needed. Everything is a fixed sequence of operations per row, so the result depends neither on
 * the number of threads nor on the machine.
 */
package dev.rebias.rounding;
