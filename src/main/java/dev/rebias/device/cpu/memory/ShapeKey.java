package dev.rebias.device.cpu.memory;

import java.util.Arrays;
import java.util.List;

/** Shapes, and what else counts, as the key of a map: equal where all numbers are. */
public final class ShapeKey {
    private final long[] numbers;
    private final int hash;

    /** A key; the array becomes its own. */
    public ShapeKey(long... numbers) {
        this.numbers = numbers;
        this.hash = Arrays.hashCode(numbers);
    }

    /**
     * The shapes of tensors.
     *
     * @param layouts whether it matters, too, which lie in row-major order
     */
    public static ShapeKey of(List<CpuTensor> tensors, boolean layouts) {
        int size = 0;
        for (CpuTensor x : tensors) {
            size += 2 + x.rank();
        }
        long[] numbers = new long[size];
        int at = 0;
        for (CpuTensor x : tensors) {
            numbers[at++] = x.rank();
            numbers[at++] = layouts && x.lies(Layout.PLAIN) ? 1 : 0;
            for (long dimension : x.shape()) {
                numbers[at++] = dimension;
            }
        }
        return new ShapeKey(numbers);
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
