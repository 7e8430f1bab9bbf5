/**
 * Calibration samples: {@link dev.rebias.samples.Samples} opens a file or folder,
 * {@link dev.rebias.samples.Samples#bind} checks it against a model's inputs, and {@link dev.rebias.samples.Batches}
 * reads it batch by batch as float tensors, {@code (x / scale - mean) / std}. Arrays in C order are streamed, never
 * held whole.
 */
package dev.rebias.samples;
