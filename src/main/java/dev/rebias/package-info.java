/**
 * The front door: {@link dev.rebias.BiasCorrection} corrects a quantised model with
 * {@link dev.rebias.CorrectionOptions} and gives a {@link dev.rebias.CorrectionResult}. A {@link dev.rebias.ModelPair}
 * is the two models as they were read, ONNX or Keras, a {@link dev.rebias.CorrectedFile} where the corrected one goes,
 * {@link dev.rebias.Requirements} what it must reach to be written. A {@link dev.rebias.DeviceSession} keeps a device
 * open for several corrections, and a {@link dev.rebias.NetworkComparison} tells how far any network's outputs are from
 * the float network's.
 */
package dev.rebias;
