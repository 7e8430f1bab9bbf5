/**
 * Quantised Keras models as BrainChip's cnn2snn saves them: layers with float weights that they quantise on every call.
 * A {@link dev.rebias.keras.KerasModel} is read from its file (HDF5, or a .keras archive) and converted to the ONNX
 * models that everything else works on, channels first throughout. Only the corrected biases are written back, with
 * attributes that describe the correction and allow undoing it. Inside rebias only the front door and the command line
 * use this package.
 *
 * <p>Within: {@code KerasFile} is the two kinds of file, {@code KerasConfig} the list of layers, {@code KerasNetwork}
 * makes the ONNX model, {@code WeightQuantizer} and {@code Activations} hold cnn2snn's formulas, {@code Before} holds
 * what a correction wrote over; from it, undoing brings the earlier file back.
 */
package dev.rebias.keras;
