package dev.rebias.device.cpu;

import java.util.Arrays;

/** Shapes, and what else counts, as the key of a map: equal where all numbers are. */
final class ShapeKey {
    private final long[] numbers;
    private final int hash;

    /** A key; the array becomes its own. */
    ShapeKey(long... numbers) {
        this.numbers = numbers;
        this.hash = Arrays.hashCode(numbers);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ShapeKey key && Arrays.equals(numbers, key.numbers);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    @Override
    public String toString() {
        return Arrays.toString(numbers);
    }
}
