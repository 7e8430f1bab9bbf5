package dev.rebias.device;

import dev.rebias.op.LayerOp;
import dev.rebias.op.Taps;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Exact sums of a layer's input by class of taps, from which the mean of what it makes of that input follows, for
 * whatever weights.
 */
public final class ClassTotals {
    private final LayerOp op;
    private final long[] weights;
    /** By the shape of the data of one entry of axis 0, in an order of their own. */
    private final Map<long[], Form> forms = new TreeMap<>(Arrays::compare);

    private long samples;

    /**
     * The sums of one form, [combinations of classes, input channels]; how many output positions, and samples, they
     * are.
     */
    private static final class Form {
        private final Taps taps;
        private final ExactSums sums;
        private long positions;
        private long samples;

        Form(Taps taps, int size) {
            this.taps = taps;
            this.sums = new ExactSums(size);
        }
    }

    /**
     * Of no samples.
     *
     * @param op the layer's
     * @param weights the shape of its weights
     */
    public ClassTotals(LayerOp op, long[] weights) {
        this.op = op;
        this.weights = weights.clone();
    }

    /**
     * Adds sums of data of one shape.
     *
     * @param shape of one entry of axis 0; of all data that have their samples side by side
     * @param units of entries, for each [combinations][input channels]
     * @param entries how many entries they all are
     * @param itsSamples how many samples
     */
    public void add(long[] shape, double[][][] units, long entries, long itsSamples) {
        int inputs = units[0][0].length;
        Form form = form(shape, units[0].length * inputs);
        for (double[][] unit : units) {
            for (int k = 0; k < unit.length; k++) {
                form.sums.add(k * inputs, unit[k]);
            }
        }
        form.positions += form.taps.positions() * entries;
        form.samples += itsSamples;
        samples += itsSamples;
    }

    /**
     * Writes them, with nothing rounded.
     *
     * @throws IOException if the output fails
     */
    public void write(DataOutput out) throws IOException {
        out.writeLong(samples);
        out.writeInt(forms.size());
        for (Map.Entry<long[], Form> entry : forms.entrySet()) {
            out.writeInt(entry.getKey().length);
            for (long dimension : entry.getKey()) {
                out.writeLong(dimension);
            }
            Form form = entry.getValue();
            out.writeLong(form.positions);
            out.writeLong(form.samples);
            out.writeInt(form.sums.size());
            form.sums.write(out);
        }
    }

    /**
     * Adds totals of other samples that were {@linkplain #write written}.
     *
     * @throws IOException if they are of another layer, or the input fails
     */
    public void add(DataInput in) throws IOException {
        samples += in.readLong();
        for (int left = in.readInt(); left > 0; left--) {
            long[] shape = new long[in.readInt()];
            for (int i = 0; i < shape.length; i++) {
                shape[i] = in.readLong();
            }
            long positions = in.readLong();
            long itsSamples = in.readLong();
            Form form = form(shape, in.readInt());
            form.positions += positions;
            form.samples += itsSamples;
            form.sums.add(in);
        }
    }

    private Form form(long[] shape, int size) {
        return forms.computeIfAbsent(shape.clone(), s -> new Form(new Taps(op, weights, s), size));
    }

    /** How many samples there were. */
    public long samples() {
        return samples;
    }

    /**
     * For each output channel the mean, over samples and positions (of all samples' means, where these have several
     * shapes), of what a layer with these weights makes of the data.
     *
     * @param matrix the weights, in the layer's shape
     */
    public double[] means(double[] matrix) {
        double[] means = new double[op.channels(weights)];
        for (Form form : forms.values()) {
            double[] outputs = form.taps.outputs(form.sums.get(0, form.sums.size()), matrix);
            double share = (double) form.samples / samples;
            for (int c = 0; c < means.length; c++) {
                means[c] += outputs[c] / form.positions * share;
            }
        }
        return means;
    }
}
