package dev.rebias.samples;

import dev.rebias.files.Sha256;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import dev.rebias.tensor.Shape;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;

/**
 * Looks at samples as they are read: their ranges, whether they differ, and their hash. What it finds depends neither
 * on the size of batches nor on who looks. To read and to look are two things, so that nobody who wants to read has to
 * wait for hashes: what was {@linkplain #see seen} is looked at by whoever calls {@link #catchUp}, several threads at
 * once if there are, and the rest when the first result is asked for.
 */
public final class SampleSurvey implements SampleObserver {
    private static final int TILE = 4096;

    private final List<InputSpec> inputs;
    private final List<Optional<InputSurvey.Range>> ranges;
    private final boolean hashed;
    /** For each input what each of its samples is like. */
    private final List<List<Sample>> samples = new ArrayList<>();

    private final Queue<Seen> waiting = new ConcurrentLinkedQueue<>();
    /** The numbers of the samples of several surveys in their whole sets. */
    private Optional<List<Integer>> numbers = Optional.empty();
    /** The hash of each sample, while none is added. */
    private Optional<List<byte[]>> perSample = Optional.empty();

    /** Samples of one input that nobody has looked at yet, and where what they are like belongs. */
    private record Seen(int input, HostValues values, List<Sample> samples) {}

    /** What one sample is like: its hash, and its values where they are looked at. */
    private static final class Sample {
        private byte[] digest = {};
        private double least = Double.POSITIVE_INFINITY;
        private double most = Double.NEGATIVE_INFINITY;
        private double sum;
        private long beyond;
        private int elements;

        Sample() {}

        Sample(DataInput in) throws IOException {
            digest = new byte[in.readUnsignedByte()];
            in.readFully(digest);
            least = in.readDouble();
            most = in.readDouble();
            sum = in.readDouble();
            beyond = in.readLong();
            elements = in.readInt();
        }

        void write(DataOutput out) throws IOException {
            out.writeByte(digest.length);
            out.write(digest);
            out.writeDouble(least);
            out.writeDouble(most);
            out.writeDouble(sum);
            out.writeLong(beyond);
            out.writeInt(elements);
        }

        boolean isConstant() {
            return least == most && elements > 1;
        }
    }

    /**
     * Sees nothing yet.
     *
     * @param inputs what the model wants of samples
     * @param ranges for each input, what the quantiser behind it holds, where it has one
     */
    public SampleSurvey(List<InputSpec> inputs, List<Optional<InputSurvey.Range>> ranges) {
        this(inputs, ranges, true);
    }

    /**
     * The same.
     *
     * @param hashed whether samples' hashes are wanted; without them neither {@link #distinct} nor {@link #hash} is
     *     known
     */
    public SampleSurvey(List<InputSpec> inputs, List<Optional<InputSurvey.Range>> ranges, boolean hashed) {
        this.inputs = List.copyOf(inputs);
        this.ranges = List.copyOf(ranges);
        this.hashed = hashed;
        inputs.forEach(i -> samples.add(new ArrayList<>()));
    }

    @Override
    public void see(int input, HostValues read, int count) {
        List<Sample> own = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            own.add(new Sample());
        }
        samples.get(input).addAll(own);
        perSample = Optional.empty();
        waiting.add(new Seen(input, read, own));
    }

    /** Looks at what was seen and nobody has looked at yet. */
    public void catchUp() {
        for (Seen seen = waiting.poll(); seen != null; seen = waiting.poll()) {
            look(seen);
        }
    }

    private void look(Seen seen) {
        int count = seen.samples().size();
        if (seen.values() instanceof CodedTensor coded) {
            hash(seen.samples(), coded.codes().bytes(), () -> meaning(coded, count));
            add(seen.samples(), ranges.get(seen.input()), coded);
            return;
        }
        HostTensor tensor = seen.values().tensor();
        hash(seen.samples(), tensor.bytes(), () -> new byte[0]);
        if (tensor.type() == ElementType.FLOAT && inputs.get(seen.input()).type() == ElementType.FLOAT) {
            int each = Math.toIntExact(Shape.elements(tensor.shape()) / count);
            for (int i = 0; i < count; i++) {
                add(seen.samples().get(i), ranges.get(seen.input()), tensor.floats(), i * each, each);
            }
        }
    }

    private void hash(List<Sample> of, ByteBuffer bytes, Supplier<byte[]> meaning) {
        if (!hashed) {
            return;
        }
        int size = bytes.capacity() / of.size();
        byte[] first = meaning.get();
        MessageDigest digest = Sha256.digest();
        for (int i = 0; i < of.size(); i++) {
            digest.update(first);
            digest.update(bytes.slice(i * size, size));
            of.get(i).digest = digest.digest();
        }
    }

    /** What a sample's bytes stand for: its shape, how they lie, and the value of each. */
    private static byte[] meaning(CodedTensor coded, int samples) {
        CodedTensor.Order order = coded.order();
        long[] shape = coded.shape();
        ByteBuffer layout = ByteBuffer.allocate((shape.length + 6) * Long.BYTES);
        Arrays.stream(shape).skip(1).forEach(layout::putLong);
        layout.putLong(order.outer() / samples)
                .putLong(order.channels())
                .putLong(order.outerStride())
                .putLong(order.channelStride())
                .putLong(order.innerStride())
                .putLong(order.offset());
        MessageDigest digest = Sha256.digest();
        digest.update(layout.array());
        digest.update(coded.table().bytes());
        return digest.digest();
    }

    /** Of bytes it takes to know how often each is there. */
    private static void add(List<Sample> to, Optional<InputSurvey.Range> range, CodedTensor coded) {
        CodedTensor.Order order = coded.order();
        int samples = to.size();
        float[] table = coded.table().toFloats();
        int[] counts = new int[table.length];
        byte[] sample = new byte[Math.toIntExact(coded.codes().elements() / samples)];
        int rows = Math.toIntExact(order.outer() / samples);
        for (int i = 0; i < samples; i++) {
            coded.codes().bytes().get(i * sample.length, sample);
            Arrays.fill(counts, 0);
            for (int c = 0; c < order.channels(); c++) {
                for (int row = 0; row < rows; row++) {
                    int at = Math.toIntExact(order.offset() + row * order.outerStride() + c * order.channelStride());
                    for (int k = 0; k < order.inner(); k++) {
                        counts[CodedTensor.CODES * c + Byte.toUnsignedInt(sample[at])]++;
                        at += (int) order.innerStride();
                    }
                }
            }
            add(to.get(i), range, table, counts, sample.length);
        }
    }

    private static void add(Sample to, Optional<InputSurvey.Range> range, float[] values, int[] counts, int elements) {
        double low = low(range);
        double high = high(range);
        float least = Float.POSITIVE_INFINITY;
        float most = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < counts.length; i++) {
            float v = values[i];
            if (counts[i] > 0) {
                least = Math.min(least, v);
                most = Math.max(most, v);
                to.sum += (double) counts[i] * v;
                to.beyond += v < low || v > high ? counts[i] : 0;
            }
        }
        to.least = least;
        to.most = most;
        to.elements = elements;
    }

    /** What rounds to the last step is held by it. */
    private static double low(Optional<InputSurvey.Range> range) {
        return range.map(r -> r.least() - r.step() / 2).orElse(Double.NEGATIVE_INFINITY);
    }

    private static double high(Optional<InputSurvey.Range> range) {
        return range.map(r -> r.most() + r.step() / 2).orElse(Double.POSITIVE_INFINITY);
    }

    private static void add(Sample to, Optional<InputSurvey.Range> range, FloatBuffer sample, int from, int elements) {
        double low = low(range);
        double high = high(range);
        float[] tile = new float[Math.min(TILE, elements)];
        float least = Float.POSITIVE_INFINITY;
        float most = Float.NEGATIVE_INFINITY;
        for (int at = 0; at < elements; at += TILE) {
            int n = Math.min(TILE, elements - at);
            sample.get(from + at, tile, 0, n);
            double sum = 0;
            int beyond = 0;
            for (int i = 0; i < n; i++) {
                float v = tile[i];
                least = Math.min(least, v);
                most = Math.max(most, v);
                sum += v;
                beyond += v < low || v > high ? 1 : 0;
            }
            to.sum += sum;
            to.beyond += beyond;
        }
        to.least = least;
        to.most = most;
        to.elements = elements;
    }

    /**
     * Writes what each sample is like, for {@link #take}: 4 bytes for each, and 69 for each of its inputs.
     *
     * @param seen the samples, all of which were seen
     * @throws IOException if the output fails
     */
    public void write(DataOutput out, BoundSamples seen) throws IOException {
        catchUp();
        out.writeInt(seen.count());
        for (int i = 0; i < seen.count(); i++) {
            out.writeInt(seen.number(i));
        }
        for (int input = 0; input < samples.size(); input++) {
            out.writeBoolean(seen.counts(input));
            out.writeInt(samples.get(input).size());
            for (Sample sample : samples.get(input)) {
                sample.write(out);
            }
        }
    }

    /**
     * Has seen all these samples from now on, and no more only its own.
     *
     * @param parts what surveys of other samples for the same model have written, in the samples' order
     * @throws IOException if an input fails
     */
    public void take(List<? extends DataInput> parts) throws IOException {
        samples.forEach(List::clear);
        perSample = Optional.empty();
        List<Integer> all = new ArrayList<>();
        for (DataInput part : parts) {
            for (int left = part.readInt(); left > 0; left--) {
                all.add(part.readInt());
            }
            for (List<Sample> own : samples) {
                // What is the same for all samples is seen once.
                boolean kept = part.readBoolean() || own.isEmpty();
                for (int left = part.readInt(); left > 0; left--) {
                    Sample sample = new Sample(part);
                    if (kept) {
                        own.add(sample);
                    }
                }
            }
        }
        numbers = Optional.of(all);
    }

    /**
     * The number that a sample has in its whole set, of those that {@link #take} took.
     *
     * @param sample counted from 0 in the order of all parts
     */
    public int number(int sample) {
        return numbers.orElseThrow().get(sample);
    }

    /** How many samples were seen. */
    public int count() {
        return samples.stream().mapToInt(List::size).max().orElse(0);
    }

    /** For each FLOAT input, what its samples were like. */
    public List<InputSurvey> inputs() {
        catchUp();
        List<InputSurvey> all = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            List<Sample> own = samples.get(i);
            long values = own.stream().mapToLong(s -> s.elements).sum();
            if (values > 0) {
                all.add(survey(i, own, values));
            }
        }
        return all;
    }

    private InputSurvey survey(int input, List<Sample> own, long values) {
        double least = Double.POSITIVE_INFINITY;
        double most = Double.NEGATIVE_INFINITY;
        double sum = 0;
        long beyond = 0;
        int constant = 0;
        int firstConstant = -1;
        for (int i = 0; i < own.size(); i++) {
            Sample sample = own.get(i);
            least = Math.min(least, sample.least);
            most = Math.max(most, sample.most);
            sum += sample.sum;
            beyond += sample.beyond;
            if (sample.isConstant()) {
                firstConstant = constant == 0 ? i : firstConstant;
                constant++;
            }
        }
        return new InputSurvey(
                inputs.get(input).name(),
                least,
                most,
                sum / values,
                ranges.get(input),
                (double) beyond / values,
                constant,
                firstConstant);
    }

    /** The hash of each sample, of all inputs that differ from sample to sample. */
    private List<byte[]> perSample() {
        if (!hashed) {
            throw new IllegalStateException("the hashes of samples are asked for, and none were wanted");
        }
        List<byte[]> all = perSample.orElseGet(this::hashes);
        perSample = Optional.of(all);
        return all;
    }

    private List<byte[]> hashes() {
        catchUp();
        int count = count();
        List<byte[]> all = new ArrayList<>();
        MessageDigest digest = Sha256.digest();
        for (int number = 0; number < count; number++) {
            for (List<Sample> input : samples) {
                if (input.size() == count) {
                    digest.update(input.get(number).digest);
                }
            }
            all.add(digest.digest());
        }
        return all;
    }

    /** How many different samples there were. */
    public int distinct() {
        Set<ByteBuffer> different = new HashSet<>();
        perSample().forEach(d -> different.add(ByteBuffer.wrap(d)));
        return different.size();
    }

    /**
     * SHA-256 over the samples in order: the values that the network was given, or the bytes that they are stored as
     * and what each of these stands for.
     */
    public String hash() {
        List<byte[]> all = perSample();
        MessageDigest digest = Sha256.digest();
        samples.stream().filter(s -> s.size() < all.size()).forEach(s -> digest.update(s.get(0).digest));
        all.forEach(digest::update);
        return Sha256.hex(digest);
    }
}
