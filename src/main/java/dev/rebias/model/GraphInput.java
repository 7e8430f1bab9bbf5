package dev.rebias.model;

import dev.rebias.tensor.ElementType;

/**
 * An input of a model.
 *
 * @param shape the dimensions, batch first; -1 where the model leaves one open
 */
public record GraphInput(String name, ElementType type, long[] shape) {}
