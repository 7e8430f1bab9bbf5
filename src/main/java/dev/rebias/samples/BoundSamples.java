package dev.rebias.samples;

import dev.rebias.error.UsageException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** Samples that have been checked against a model's inputs. */
public final class BoundSamples {
    /**
     * How an input is filled.
     *
     * @param reader opens what its values come from
     * @param counts whether axis 0 counts samples; else the value is the same for all of them
     */
    record Filled(Supplier<SampleReader> reader, boolean counts) {
        /** The same, where the model takes integers that stand for these floats. */
        Filled as(Optional<Quantization> quantization) {
            return quantization
                    .map(q -> new Filled(() -> new QuantizingReader(reader.get(), q), counts))
                    .orElse(this);
        }
    }

    private final List<Filled> inputs;
    private final List<Integer> groups;

    /**
     * Samples of these inputs.
     *
     * @param groups how many samples of one shape there are, one number for each shape, in the order in which they are read
     */
    BoundSamples(List<Filled> inputs, List<Integer> groups) {
        this.inputs = List.copyOf(inputs);
        this.groups = List.copyOf(groups);
    }

    /** How many samples there are, at least 1. */
    public int count() {
        return groups.stream().mapToInt(g -> g).sum();
    }

    /** How many shapes samples have; those of one shape go through together, the largest first. */
    public int shapes() {
        return groups.size();
    }

    /** How many batches of at most that size there are. */
    public int batchCount(int batchSize) {
        return groups.stream().mapToInt(g -> (g + batchSize - 1) / batchSize).sum();
    }

    /** Whether axis 0 of the input with that number counts samples; else its value is the same for all of them. */
    public boolean counts(int input) {
        return inputs.get(input).counts();
    }

    /**
     * At most n of these samples, spread evenly over the whole set: sorted sets hold one class first.
     *
     * @throws UsageException if n is less than 1
     */
    public BoundSamples spread(int n) {
        if (n < 1) {
            throw new UsageException(n + " samples are not possible: it must be 1 or more");
        }
        int count = count();
        if (n >= count) {
            return this;
        }
        List<Integer> picked = new ArrayList<>();
        int before = 0;
        for (int group : groups) {
            int end = before + group;
            int from = before;
            int here = (int) SpreadReader.places(count, n)
                    .filter(at -> at >= from && at < end)
                    .count();
            if (here > 0) {
                picked.add(here);
            }
            before = end;
        }
        return new BoundSamples(
                inputs.stream()
                        .map(i -> new Filled(
                                () -> i.counts()
                                        ? new SpreadReader(i.reader().get(), count, n)
                                        : i.reader().get(),
                                i.counts()))
                        .toList(),
                picked);
    }

    /**
     * Starts reading from the first sample; may be called again and again.
     *
     * @throws UsageException if the batch size is less than 1
     */
    public Batches batches(int batchSize) {
        if (batchSize < 1) {
            throw new UsageException("batch size " + batchSize + " is not possible: it must be 1 or more");
        }
        List<SampleReader> opened = new ArrayList<>();
        try {
            inputs.forEach(i -> opened.add(i.reader().get()));
        } catch (RuntimeException e) {
            opened.forEach(SampleReader::close);
            throw e;
        }
        return new Batches(opened, groups, batchSize);
    }
}
