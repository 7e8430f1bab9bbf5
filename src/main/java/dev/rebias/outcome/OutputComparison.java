package dev.rebias.outcome;

import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Adds up how far one output is from the float network's, sample by sample. */
final class OutputComparison {
    private final String name;
    private final List<double[]> samples = new ArrayList<>();
    private double elements;
    private boolean classes = true;
    private int agreedBefore;
    private int agreedAfter;

    OutputComparison(String name) {
        this.name = name;
    }

    /**
     * Adds a run of one or more samples.
     *
     * @param units how many samples it holds; axis 0 has as many entries for each, or the run counts as one
     */
    void add(HostTensor reference, HostTensor before, HostTensor after, int units) {
        long[] shape = reference.shape();
        boolean apart = shape.length > 0 && shape[0] % units == 0;
        int parts = apart ? units : 1;
        int length = Math.toIntExact(reference.elements() / parts);
        classes &= length > 1 && Arrays.stream(shape).filter(d -> d > 1).count() <= (units > 1 ? 2 : 1);
        FloatBuffer f = reference.floats();
        FloatBuffer b = before.floats();
        FloatBuffer a = after.floats();
        for (int part = 0; part < parts; part++) {
            int from = part * length;
            double[] sums = new double[3];
            for (int i = from; i < from + length; i++) {
                double y = f.get(i);
                if (!Double.isFinite(y)) {
                    continue; // a mask's infinity is no distance
                }
                sums[0] += y * y;
                sums[1] += (b.get(i) - y) * (b.get(i) - y);
                sums[2] += (a.get(i) - y) * (a.get(i) - y);
            }
            samples.add(sums);
            elements += length;
            int largest = largest(f, from, length);
            agreedBefore += largest(b, from, length) == largest ? 1 : 0;
            agreedAfter += largest(a, from, length) == largest ? 1 : 0;
        }
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

    Outcome.Output result() {
        int n = samples.size();
        return new Outcome.Output(
                name,
                sum(0) / elements,
                sum(1) / elements,
                sum(2) / elements,
                classes
                        ? Optional.of(new Outcome.Agreement((double) agreedBefore / n, (double) agreedAfter / n))
                        : Optional.empty());
    }

    /** For each run sample, by how much its squared error rose, relative to the mean square of the float network's output. */
    double[] changes() {
        double mean = sum(0) / samples.size();
        double power = mean > 0 ? mean : 1;
        return samples.stream()
                .mapToDouble(s -> s[2] == s[1] ? 0 : (s[2] - s[1]) / power)
                .toArray();
    }
}
