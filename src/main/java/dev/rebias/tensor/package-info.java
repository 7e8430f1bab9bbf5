/**
 * Dense tensors in host memory: what samples, constants and results are made of. Knows nothing of models or devices.
 */
package dev.rebias.tensor;
