package dev.rebias.samples;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Looks at samples as they are read: their ranges, whether they differ, and their hash. What it finds does not depend on the size of batches. */
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
    public void see(int input, HostTensor tensor, int samples) {
        ByteBuffer bytes = tensor.bytes();
        int size = bytes.capacity() / samples;
        MessageDigest digest = sha256();
        for (int i = 0; i < samples; i++) {
            digest.update(bytes.slice(i * size, size));
            digests.get(input).add(digest.digest());
        }
        if (tensor.type() == ElementType.FLOAT && inputs.get(input).type() == ElementType.FLOAT) {
            int each = Math.toIntExact(Shape.elements(tensor.shape()) / samples);
            for (int i = 0; i < samples; i++) {
                add(values.get(input), ranges.get(input), tensor.floats(), i * each, each);
            }
        }
    }

    private static void add(Values to, Optional<InputSurvey.Range> range, FloatBuffer sample, int from, int elements) {
        // What rounds to the last step is held by it.
        double tolerance = range.map(r -> r.step() / 2).orElse(0.0);
        double low = range.map(InputSurvey.Range::least).orElse(Double.NEGATIVE_INFINITY) - tolerance;
        double high = range.map(InputSurvey.Range::most).orElse(Double.POSITIVE_INFINITY) + tolerance;
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
        to.count += elements;
        to.least = Math.min(to.least, least);
        to.most = Math.max(to.most, most);
        if (least == most && elements > 1) {
            to.firstConstant = to.constant == 0 ? to.samples : to.firstConstant;
            to.constant++;
        }
        to.samples++;
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

    /** SHA-256 over the samples' values, in order, as the network was given them. */
    public String hash() {
        MessageDigest digest = sha256();
        digests.stream().filter(d -> d.size() < count()).forEach(d -> digest.update(d.get(0)));
        perSample().forEach(digest::update);
        return HexFormat.of().formatHex(digest.digest());
    }
}
