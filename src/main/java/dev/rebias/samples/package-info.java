/**
 * Calibration samples: {@link dev.rebias.samples.Samples} opens a file or folder,
 * {@link dev.rebias.samples.Samples#bind} checks it against a model's inputs, and {@link dev.rebias.samples.Batches}
 * reads it batch by batch, as float tensors {@code (x / scale - mean) / std} ({@link dev.rebias.samples.Batches#next}),
 * or as the bytes that are stored and what each of them stands for ({@link dev.rebias.samples.Batches#stored}). Arrays
 * in C order are streamed, never held whole; samples that are needed twice may be kept in memory as they are stored
 * ({@link dev.rebias.samples.BoundSamples#kept}).
 */
package dev.rebias.samples;
