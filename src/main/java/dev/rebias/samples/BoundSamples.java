package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.tensor.HostValues;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;

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
    /** The samples' numbers in the set that these were picked from; empty where these are all of it. */
    private final int[] numbers;

    /**
     * Samples of these inputs.
     *
     * @param groups how many samples of one shape there are, one number for each shape, in the order in which they are
     *     read
     */
    BoundSamples(List<Filled> inputs, List<Integer> groups) {
        this(inputs, groups, new int[0]);
    }

    private BoundSamples(List<Filled> inputs, List<Integer> groups, int[] numbers) {
        this.inputs = List.copyOf(inputs);
        this.groups = List.copyOf(groups);
        this.numbers = numbers;
    }

    /** The number, counted from 0, that a sample of these has in the whole set. */
    public int number(int sample) {
        return numbers.length == 0 ? sample : numbers[sample];
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
        return n >= count() ? this : picked(PickedReader.spread(count(), n));
    }

    /**
     * Of n samples spread evenly over the samples of all parts those that are in this one; empty where none is.
     *
     * @param before how many samples the parts before this one have
     * @param total how many all parts have
     */
    public Optional<BoundSamples> spread(int n, int before, int total) {
        int[] own = ownPlaces(n, before, total);
        return own.length == 0 ? Optional.empty() : Optional.of(own.length == count() ? this : picked(own));
    }

    private int[] ownPlaces(int n, int before, int total) {
        return Arrays.stream(PickedReader.spread(total, Math.min(n, total)))
                .map(place -> place - before)
                .filter(place -> place >= 0 && place < count())
                .toArray();
    }

    /**
     * One part of these samples, which lie side by side.
     *
     * @param number the part's, from 0
     * @param parts how many there are, of about the same size
     * @param batch parts are made of whole batches of that size
     * @throws UnsupportedException if the samples are no whole batches, or fewer of them than parts
     */
    public BoundSamples part(int number, int parts, int batch) {
        int batches = count() / batch;
        if (count() % batch != 0) {
            throw new UnsupportedException("the model fixes its batch at " + batch + ", and " + count()
                    + " samples are no multiple of it: use `limit` " + batches * batch
                    + ", or make the model's batch dimension dynamic");
        }
        if (batches < parts) {
            throw new UnsupportedException(count() + " samples cannot be divided into " + parts + " parts"
                    + (batch > 1 ? ", the model taking " + batch + " at a time" : "")
                    + ": give more samples, or use fewer devices");
        }
        int from = (int) ((long) batches * number / parts) * batch;
        int end = (int) ((long) batches * (number + 1) / parts) * batch;
        return parts == 1 ? this : picked(IntStream.range(from, end).toArray());
    }

    /**
     * Samples in two parts that have none in common.
     *
     * @param rest all but those held out
     * @param heldOut those spread evenly over the whole set
     */
    public record Split(BoundSamples rest, BoundSamples heldOut) {}

    /**
     * Holds n of these samples out, spread evenly over the whole set.
     *
     * @throws UsageException if n is less than 1, or leaves none
     */
    public Split split(int n) {
        int count = count();
        if (n < 1 || n >= count) {
            throw new UsageException("of " + count + " samples " + n
                    + " cannot be held out: at least one must be, and at least one be left");
        }
        return without(PickedReader.spread(count, n));
    }

    /**
     * The same of samples that are a part: of n spread evenly over the samples of all parts, those are held out that
     * are in this one.
     *
     * @param before how many samples the parts before this one have
     * @param total how many all parts have
     * @throws UnsupportedException if this part has none of them, or no other
     */
    public Split split(int n, int before, int total) {
        int[] held = ownPlaces(n, before, total);
        if (held.length == 0 || held.length == count()) {
            throw new UnsupportedException("of " + total + " samples in parts a part has " + count() + ", of which "
                    + held.length + " are held out, and at least one must be and at least one be left: give more "
                    + "samples, or use fewer devices");
        }
        return without(held);
    }

    private Split without(int[] held) {
        BitSet out = new BitSet(count());
        Arrays.stream(held).forEach(out::set);
        int[] rest = IntStream.range(0, count()).filter(i -> !out.get(i)).toArray();
        return new Split(picked(rest), picked(held));
    }

    private BoundSamples picked(int[] places) {
        List<Integer> sizes = new ArrayList<>();
        int before = 0;
        for (int group : groups) {
            int from = before;
            int end = before + group;
            int here = (int)
                    Arrays.stream(places).filter(at -> at >= from && at < end).count();
            if (here > 0) {
                sizes.add(here);
            }
            before = end;
        }
        return new BoundSamples(
                inputs.stream()
                        .map(i -> new Filled(
                                () -> i.counts()
                                        ? new PickedReader(i.reader().get(), places)
                                        : i.reader().get(),
                                i.counts()))
                        .toList(),
                sizes,
                Arrays.stream(places).map(this::number).toArray());
    }

    /**
     * The same samples, read once and kept in memory; or, where they would take more than that many bytes, or more
     * memory than there is, these, which are read anew each time.
     *
     * @throws dev.rebias.error.UnsupportedException as {@link Batches#next} does
     */
    public BoundSamples kept(long mostBytes) {
        try {
            return keptAnyway(mostBytes);
        } catch (OutOfMemoryError e) {
            // What was kept so far is free again; one sample at a time, there may be room.
            return this;
        }
    }

    private BoundSamples keptAnyway(long mostBytes) {
        List<List<HostValues>> values = new ArrayList<>();
        inputs.forEach(i -> values.add(new ArrayList<>()));
        try (Batches batches = batches(1)) {
            while (batches.hasNext()) {
                List<HostValues> one = batches.stored();
                // Samples of the largest shape come first.
                if (values.get(0).isEmpty() && bytes(one) > mostBytes / count()) {
                    return this;
                }
                for (int i = 0; i < one.size(); i++) {
                    values.get(i).add(one.get(i));
                }
            }
        }
        List<Filled> kept = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            List<HostValues> own = values.get(i);
            boolean counts = inputs.get(i).counts();
            kept.add(new Filled(
                    () -> counts
                            ? new KeptReader(own)
                            : new SameForAllReader(own.get(0).tensor()),
                    counts));
        }
        return new BoundSamples(kept, groups, numbers);
    }

    private long bytes(List<HostValues> sample) {
        long sum = 0;
        for (int i = 0; i < sample.size(); i++) {
            sum += inputs.get(i).counts() ? sample.get(i).storedBytes() : 0;
        }
        return sum;
    }

    /** The same samples, which an observer sees whenever they are read. */
    public BoundSamples observed(SampleObserver observer) {
        List<Filled> seen = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            int number = i;
            Filled filled = inputs.get(i);
            seen.add(new Filled(
                    () -> new ObservedReader(filled.reader().get(), observer, number, filled.counts()),
                    filled.counts()));
        }
        return new BoundSamples(seen, groups, numbers);
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
        } catch (RuntimeException | Error e) {
            opened.forEach(SampleReader::close);
            throw e;
        }
        return new Batches(opened, groups, batchSize);
    }
}
