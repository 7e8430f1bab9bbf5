/**
 * ONNX Runtime: one environment for the whole process, sessions made the way rebias needs them, and whole models run as
 * they are written. The CPU device runs single ops through it; constant folding and the checking of written models run
 * whole graphs. {@link dev.rebias.runtime.NativeLibraries} says where the libraries that come in jars are unpacked,
 * ONNX Runtime's and all others.
 */
package dev.rebias.runtime;
