package dev.rebias.outcome;

import dev.rebias.tensor.HostTensor;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Adds up how far one output of a network is from the float network's, sample by sample. */
final class OutputComparison {
    private static final int SUMS = 4;

    private final String name;
    /**
     * For each sample the sums of the float output's squares, of the errors', of the other output's, and of the
     * products of both outputs.
     */
    private final List<double[]> samples = new ArrayList<>();

    private double elements;
    private boolean classes = true;
    private int agreed;

    OutputComparison(String name) {
        this.name = name;
    }

    /**
     * Adds a run of one or more samples.
     *
     * @param units how many samples it holds; axis 0 has as many entries for each, or the run counts as one
     */
    void add(HostTensor reference, HostTensor other, int units) {
        long[] shape = reference.shape();
        boolean apart = shape.length > 0 && shape[0] % units == 0;
        int parts = apart ? units : 1;
        int length = Math.toIntExact(reference.elements() / parts);
        classes &= length > 1 && Arrays.stream(shape).filter(d -> d > 1).count() <= (units > 1 ? 2 : 1);
        FloatBuffer f = reference.floats();
        FloatBuffer o = other.floats();
        for (int part = 0; part < parts; part++) {
            int from = part * length;
            double[] sums = new double[SUMS];
            for (int i = from; i < from + length; i++) {
                double y = f.get(i);
                double q = o.get(i);
                if (!Double.isFinite(y)) {
                    continue; // a mask's infinity is no distance
                }
                sums[0] += y * y;
                sums[1] += (q - y) * (q - y);
                sums[2] += q * q;
                sums[3] += q * y;
            }
            samples.add(sums);
            elements += length;
            agreed += largest(o, from, length) == largest(f, from, length) ? 1 : 0;
        }
    }

    /** Writes what was added so far. */
    void write(DataOutput out) throws IOException {
        out.writeInt(samples.size());
        for (double[] sums : samples) {
            for (double sum : sums) {
                out.writeDouble(sum);
            }
        }
        out.writeDouble(elements);
        out.writeBoolean(classes);
        out.writeInt(agreed);
    }

    /** Adds what was written of other samples. */
    void add(DataInput in) throws IOException {
        for (int left = in.readInt(); left > 0; left--) {
            double[] sums = new double[SUMS];
            for (int i = 0; i < SUMS; i++) {
                sums[i] = in.readDouble();
            }
            samples.add(sums);
        }
        elements += in.readDouble();
        classes &= in.readBoolean();
        agreed += in.readInt();
    }

    private static int largest(FloatBuffer values, int from, int length) {
        int best = from;
        for (int i = from + 1; i < from + length; i++) {
            if (values.get(i) > values.get(best)) {
                best = i;
            }
        }
        return best;
    }

    private double sum(int which) {
        return samples.stream().mapToDouble(s -> s[which]).sum();
    }

    NetworkDistance.Output result() {
        double norms = Math.sqrt(sum(0) * sum(2));
        return new NetworkDistance.Output(
                name,
                sum(0) / elements,
                sum(1) / elements,
                // Two outputs of zeros are the same; one of zeros has no direction.
                norms == 0 ? (sum(0) == sum(2) ? 1 : 0) : sum(3) / norms,
                classes ? Optional.of((double) agreed / samples.size()) : Optional.empty());
    }

    /** For each run sample its squared error, relative to the mean square of the float network's output. */
    double[] relative() {
        double mean = sum(0) / samples.size();
        double power = mean > 0 ? mean : 1;
        return samples.stream().mapToDouble(s -> s[1] / power).toArray();
    }
}
