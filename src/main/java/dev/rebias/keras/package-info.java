/**
 * Quantised Keras models as BrainChip's cnn2snn saves them: layers with float weights that are quantised on every call ({@link
 * dev.rebias.keras.WeightQuantizer}). A file ({@link dev.rebias.keras.KerasModel}; HDF5 or a .keras archive) is turned into the ONNX models that
 * everything else works on ({@link dev.rebias.keras.KerasNetwork}), with channels first from the first node to the last, and takes the corrected
 * biases back, all else in it left as it was ({@link dev.rebias.keras.BiasEdits}). Nothing outside this package and the front door knows of Keras.
 */
package dev.rebias.keras;
