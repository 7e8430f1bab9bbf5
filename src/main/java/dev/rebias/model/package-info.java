/**
 * ONNX models: read and check a file ({@link dev.rebias.model.OnnxModel}), turn it into a graph whose constants are
 * known ({@link dev.rebias.model.Graph}), find its layers ({@link dev.rebias.model.Layer}), pair them with the float
 * model's ({@link dev.rebias.model.Pairing}), and write corrections into the biases of the file
 * ({@link dev.rebias.model.BiasWriter}) and weights that were chosen anew ({@link dev.rebias.model.WeightWriter}), all
 * else left as it was. The file's metadata say how it was corrected, and hold what {@code Undo} makes the original from
 * ({@link dev.rebias.model.Marks}). Knows nothing of devices.
 */
package dev.rebias.model;
