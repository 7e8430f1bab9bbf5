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
    private final int count;

    BoundSamples(List<Filled> inputs, int count) {
        this.inputs = List.copyOf(inputs);
        this.count = count;
    }

    /** How many samples there are, at least 1. */
    public int count() {
        return count;
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
        if (n >= count) {
            return this;
        }
        return new BoundSamples(
                inputs.stream()
                        .map(i -> new Filled(
                                () -> i.counts()
                                        ? new SpreadReader(i.reader().get(), count, n)
                                        : i.reader().get(),
                                i.counts()))
                        .toList(),
                n);
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
        return new Batches(opened, count, batchSize);
    }
}
