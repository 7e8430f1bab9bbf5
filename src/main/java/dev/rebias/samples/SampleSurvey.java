package dev.rebias.samples;

import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Looks at samples as they are read: their ranges, whether they differ, and their hash. What it finds does not depend
 * on the size of batches.
 */
public final class SampleSurvey implements SampleObserver {
    private static final int TILE = 4096;

    private final List<InputSpec> inputs;
    private final List<Optional<InputSurvey.Range>> ranges;
    private final List<Values> values = new ArrayList<>();
    /** For each input the hash of each of its samples. */
    private final List<List<byte[]>> digests = new ArrayList<>();

    /** What was seen of one input's values. */
    private static final class Values {
        private double least = Double.POSITIVE_INFINITY;
        private double most = Double.NEGATIVE_INFINITY;
        private double sum;
        private long count;
        private long beyond;
        private int samples;
        private int constant;
        private int firstConstant = -1;

        /** One sample more, with its range. */
        void add(float sampleLeast, float sampleMost, int elements) {
            count += elements;
            least = Math.min(least, sampleLeast);
            most = Math.max(most, sampleMost);
            if (sampleLeast == sampleMost && elements > 1) {
                firstConstant = constant == 0 ? samples : firstConstant;
                constant++;
            }
            samples++;
        }
    }

    /**
     * Sees nothing yet.
     *
     * @param inputs what the model wants of samples
     * @param ranges for each input, what the quantiser behind it holds, where it has one
     */
    public SampleSurvey(List<InputSpec> inputs, List<Optional<InputSurvey.Range>> ranges) {
        this.inputs = List.copyOf(inputs);
        this.ranges = List.copyOf(ranges);
        inputs.forEach(i -> {
            values.add(new Values());
            digests.add(new ArrayList<>());
        });
    }

    @Override
    public void see(int input, HostValues read, int samples) {
        if (read instanceof CodedTensor coded) {
            hash(input, coded.codes().bytes(), samples, meaning(coded, samples));
            add(values.get(input), ranges.get(input), coded, samples);
            return;
        }
        HostTensor tensor = read.tensor();
        hash(input, tensor.bytes(), samples, new byte[0]);
        if (tensor.type() == ElementType.FLOAT && inputs.get(input).type() == ElementType.FLOAT) {
            int each = Math.toIntExact(Shape.elements(tensor.shape()) / samples);
            for (int i = 0; i < samples; i++) {
                add(values.get(input), ranges.get(input), tensor.floats(), i * each, each);
            }
        }
    }

    private void hash(int input, ByteBuffer bytes, int samples, byte[] meaning) {
        int size = bytes.capacity() / samples;
        MessageDigest digest = sha256();
        for (int i = 0; i < samples; i++) {
            digest.update(meaning);
            digest.update(bytes.slice(i * size, size));
            digests.get(input).add(digest.digest());
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
        MessageDigest digest = sha256();
        digest.update(layout.array());
        digest.update(coded.table().bytes());
        return digest.digest();
    }

    /** Of bytes it takes to know how often each is there. */
    private static void add(Values to, Optional<InputSurvey.Range> range, CodedTensor coded, int samples) {
        CodedTensor.Order order = coded.order();
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
            add(to, range, table, counts, sample.length);
        }
    }

    private static void add(Values to, Optional<InputSurvey.Range> range, float[] values, int[] counts, int elements) {
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
        to.add(least, most, elements);
    }

    /** What rounds to the last step is held by it. */
    private static double low(Optional<InputSurvey.Range> range) {
        return range.map(r -> r.least() - r.step() / 2).orElse(Double.NEGATIVE_INFINITY);
    }

    private static double high(Optional<InputSurvey.Range> range) {
        return range.map(r -> r.most() + r.step() / 2).orElse(Double.POSITIVE_INFINITY);
    }

    private static void add(Values to, Optional<InputSurvey.Range> range, FloatBuffer sample, int from, int elements) {
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
        to.add(least, most, elements);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    /** How many samples were seen. */
    public int count() {
        return digests.stream().mapToInt(List::size).max().orElse(0);
    }

    /** For each FLOAT input, what its samples were like. */
    public List<InputSurvey> inputs() {
        List<InputSurvey> all = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            Values v = values.get(i);
            if (v.count > 0) {
                all.add(new InputSurvey(
                        inputs.get(i).name(),
                        v.least,
                        v.most,
                        v.sum / v.count,
                        ranges.get(i),
                        (double) v.beyond / v.count,
                        v.constant,
                        v.firstConstant));
            }
        }
        return all;
    }

    /** The hash of each sample, of all inputs that differ from sample to sample. */
    private List<byte[]> perSample() {
        int count = count();
        List<byte[]> all = new ArrayList<>();
        for (int sample = 0; sample < count; sample++) {
            MessageDigest digest = sha256();
            for (List<byte[]> input : digests) {
                if (input.size() == count) {
                    digest.update(input.get(sample));
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
        MessageDigest digest = sha256();
        digests.stream().filter(d -> d.size() < count()).forEach(d -> digest.update(d.get(0)));
        perSample().forEach(digest::update);
        return HexFormat.of().formatHex(digest.digest());
    }
}
