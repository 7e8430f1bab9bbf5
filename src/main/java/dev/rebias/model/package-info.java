/**
 * ONNX models: read and check a file ({@link dev.rebias.model.OnnxModel}), turn it into a graph whose constants are
 * known ({@link dev.rebias.model.Graph}), find its layers ({@link dev.rebias.model.Layer}), pair them with the float
 * model's ({@link dev.rebias.model.Pairing}), and write corrections into the biases of the file, all else left as it
 * was ({@link dev.rebias.model.BiasWriter}). Knows nothing of devices.
 */
package dev.rebias.model;
