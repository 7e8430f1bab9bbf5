package dev.rebias.model;

/**
 * A layer of the quantised model that is not corrected: its name, output tensor, op type, output channels (0 if
 * unknown), and why.
 */
public record SkippedLayer(String name, String output, String op, int channels, String reason) {}
