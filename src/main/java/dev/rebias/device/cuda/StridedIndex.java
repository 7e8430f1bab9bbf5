package dev.rebias.device.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * How a tensor's elements are stepped through, as {@code cuda-kernels/rebias.cuh} has it: sizes and strides of
 * {@link #RANK} dimensions, outermost first, in elements.
 *
 * @param narrow whether a kernel divides by {@link Divisor}s, for which there must be from 1 to 2^31 - 1 elements
 */
record StridedIndex(List<Long> sizes, List<Long> strides, boolean narrow) {
    static final int RANK = 6;

    StridedIndex {
        sizes = List.copyOf(sizes);
        strides = List.copyOf(strides);
    }

    /** How to divide by the sizes, one each; of no meaning unless narrow. */
    List<Divisor> divisors() {
        return sizes.stream().map(s -> Divisor.of(narrow ? s : 1)).toList();
    }

    /** The outermost dimension that is not of size 1, or {@link #RANK}. */
    int first() {
        int first = 0;
        while (first < RANK && sizes.get(first) == 1) {
            first++;
        }
        return first;
    }

    /** The index over these dimensions, those of size 1 left out; empty if more than {@link #RANK} remain. */
    static Optional<StridedIndex> of(long[] sizes, long[] strides) {
        List<Long> n = new ArrayList<>();
        List<Long> s = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            if (sizes[i] != 1) {
                n.add(sizes[i]);
                s.add(strides[i]);
            }
        }
        if (n.size() > RANK) {
            return Optional.empty();
        }
        return Optional.of(padded(n, s));
    }

    /** Two of the same sizes that keep their dimensions paired; empty if the rank is above {@link #RANK}. */
    static Optional<StridedIndex> paired(long[] sizes, long[] strides) {
        if (sizes.length > RANK) {
            return Optional.empty();
        }
        List<Long> n = new ArrayList<>();
        List<Long> s = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            n.add(sizes[i]);
            s.add(strides[i]);
        }
        return Optional.of(padded(n, s));
    }

    private static StridedIndex padded(List<Long> n, List<Long> s) {
        while (n.size() < RANK) {
            n.add(0, 1L);
            s.add(0, 0L);
        }
        double elements = n.stream().mapToDouble(size -> size).reduce(1, (a, b) -> a * b);
        return new StridedIndex(n, s, elements > 0 && elements < 1L << 31);
    }

    /** The strides of a dense tensor. */
    static long[] dense(long[] shape) {
        long[] strides = new long[shape.length];
        long step = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = step;
            step *= shape[i];
        }
        return strides;
    }
}
