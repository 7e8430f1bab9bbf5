/**
 * The front door: {@link dev.rebias.BiasCorrection} corrects a quantised model with
 * {@link dev.rebias.CorrectionOptions} and gives a {@link dev.rebias.CorrectionResult}.
 */
package dev.rebias;
