/**
 * Choosing every weight's rounding anew from the second moments of what the weights meet: arithmetic on small matrices, in double precision, which knows no device and no file.
 *
 * <p>A row of weights w on a grid makes, beside the best row t, an error whose variance is (w - t) H (w - t)', where H is the covariance of the row's inputs. {@link
 * dev.rebias.rounding.Rounding} looks for the w on the grid that makes this small, and finds t where the float network's inputs differ from the quantised one's. {@link dev.rebias.rounding.RowGrid}
 * is a row's grid, {@link dev.rebias.rounding.Cholesky} the one decomposition that is needed. Everything is a fixed sequence of operations per row, so that the result does not depend on the number of threads or
 * on the machine.
 */
package dev.rebias.rounding;
