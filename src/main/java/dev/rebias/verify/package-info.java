/**
 * Checks models by running them whole in another engine, ONNX Runtime: does the written file compute what was
 * corrected, how accurate is it.
 */
package dev.rebias.verify;
