package dev.rebias.device.cpu;

import dev.rebias.device.ErrorMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * Error moments in Java loops: one pass over error and output, channels last. A sample is one unit of work: its sums are formed on their own, in memory
 * order, and added to the totals in sample order; so neither threads nor batch sizes change a bit.
 *
 * <p>What is summed is what the layers computed, without biases; these follow in closed form: with e = x + s, sum e^2 = sum x^2 + 2 s sum x + n s^2.
 */
final class CpuErrorMoments implements ErrorMoments {
    /** Per channel and sample: sum x, sum x^2 of the error without biases; sum x, sum x^2 of the float layer's output without its bias. */
    private static final int SUMS = 4;

    /** How many sums of each kind are formed side by side, at least where there are elements enough. */
    private static final int LANES = 64;

    /** From how many elements on they are summed up in vectors. */
    private static final int MANY = 1 << 12;

    /** How many sums of each kind are formed side by side then, or as many as there are channels if those are more; of very many elements as many as a tile has. */
    private static final int VECTOR_LANES = 1024;

    private static final int VERY_MANY = 1 << 15;

    /** How many elements are worked on together: so few that they stay in a cache near by. */
    private static final int TILE = 2048;

    private final CpuContext context;
    private final int channels;
    private final double[] bias;
    private final double[] referenceBias;
    private final Solution solution;
    private final double[][] totals;
    private final double[] squaredSampleMeans;
    private final InOrder<Batch> order = new InOrder<>(this::add);
    private long samples;
    private long count;

    /** A batch's sums: for each unit of work, {@link #SUMS} x channels. */
    private record Batch(double[][][] units, long positions, int samples) {}

    CpuErrorMoments(CpuContext context, double[] bias, double[] referenceBias, float[] steps) {
        this.context = context;
        this.bias = bias.clone();
        this.referenceBias = referenceBias.clone();
        this.channels = bias.length;
        this.solution = new Solution(context, bias, steps);
        this.totals = new double[SUMS][channels];
        this.squaredSampleMeans = new double[channels];
    }

    @Override
    public void addError(Tensor error, Tensor output, int channelAxis, int batch, int batchSamples) {
        add(error, output, channelAxis, batch, batchSamples, false);
    }

    @Override
    public void addOutputs(Tensor reference, Tensor output, int channelAxis, int batch, int batchSamples) {
        add(reference, output, channelAxis, batch, batchSamples, true);
    }

    private void add(Tensor first, Tensor output, int channelAxis, int batch, int batchSamples, boolean difference) {
        long[] shape = output.shape();
        if (!Arrays.equals(first.shape(), shape) || shape[channelAxis] != channels) {
            throw new IllegalArgumentException("error moments over " + channels + " channels along axis " + channelAxis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        // Axis 0 may hold several rows per sample; where it is no multiple of the batch, its rows do not belong to
        // samples one by one.
        int rows = Math.toIntExact(shape[0]);
        int units = rows % batchSamples == 0 ? batchSamples : 1;
        Layout layout = channelAxis == shape.length - 1 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        double[][][] sums = new double[units][][];
        int perUnit = Math.toIntExact(Shape.elements(shape) / units);
        try (CpuTensor a = context.layouts().in(layout, (CpuTensor) first);
                CpuTensor q = context.layouts().in(layout, (CpuTensor) output)) {
            FloatBuffer x = a.floats();
            FloatBuffer y = q.floats();
            for (int unit = 0; unit < units; unit++) {
                sums[unit] = sums(x, y, unit * perUnit, perUnit, difference);
            }
        }
        order.enter(batch, new Batch(sums, perUnit / channels, batchSamples));
    }

    private void add(Batch batch) {
        for (double[][] unit : batch.units()) {
            for (int c = 0; c < channels; c++) {
                for (int s = 0; s < SUMS; s++) {
                    totals[s][c] += unit[s][c];
                }
                double mean = unit[0][c] / batch.positions() + referenceBias[c] - bias[c];
                squaredSampleMeans[c] += mean * mean * batch.samples() / batch.units().length;
            }
        }
        samples += batch.samples();
        count += batch.positions() * batch.units().length;
    }

    /** The sums of the elements [first, first + n), channels last. */
    private double[][] sums(FloatBuffer a, FloatBuffer q, int first, int n, boolean difference) {
        double[][] sums = n < MANY ? few(a, q, first, n, difference) : many(a, q, first, n, difference);
        if (n >= MANY && !areFinite(sums)) {
            // What is too large for a float may not be for a double.
            sums = few(a, q, first, n, difference);
        }
        // What was given is the error, or with a difference the float layer's output.
        return difference ? new double[][] {sums[2], sums[3], sums[0], sums[1]} : sums;
    }

    private static boolean areFinite(double[][] sums) {
        for (double[] of : sums) {
            for (double sum : of) {
                if (!Double.isFinite(sum)) {
                    return false;
                }
            }
        }
        return true;
    }

    private double[][] few(FloatBuffer a, FloatBuffer q, int first, int n, boolean difference) {
        // Few elements are not worth many lanes, which must be cleared before and added up behind.
        int lanes = channels * Math.max(1, Math.min(LANES, n / 16) / channels);
        lanes += lanes % 2 * lanes;
        int tile = lanes * Math.max(1, TILE / lanes);
        Lane lane = context.lane();
        float[][] t = lane.tiles(2, tile);
        double[][] wide = lane.wide(SUMS, lanes);
        for (int s = 0; s < SUMS; s++) {
            Arrays.fill(wide[s], 0, lanes, 0);
        }
        for (int at = 0; at < n; at += tile) {
            int size = Math.min(tile, n - at);
            int rows = (size + lanes - 1) / lanes;
            load(a, first + at, t[0], size, rows * lanes);
            load(q, first + at, t[1], size, rows * lanes);
            if (difference) {
                ElementLoops.negate(t[1], t[1], size);
            }
            Accumulation.addSquares(t[0], t[1], rows, lanes, wide);
        }
        double[][] sums = new double[SUMS][channels];
        for (int s = 0; s < SUMS; s++) {
            for (int i = 0; i < lanes; i += channels) {
                for (int c = 0; c < channels; c++) {
                    sums[s][c] += wide[s][i + c];
                }
            }
        }
        return sums;
    }

    private double[][] many(FloatBuffer a, FloatBuffer q, int first, int n, boolean difference) {
        int lanes = channels;
        for (int most = n < VERY_MANY ? VECTOR_LANES : TILE; 2 * lanes <= most; ) {
            lanes *= 2;
        }
        float[][] t = context.lane().tiles(2 + Accumulation.COMPENSATED, lanes);
        float[][] parts = Arrays.copyOfRange(t, 2, 2 + Accumulation.COMPENSATED);
        for (int p = 0; p < 2 * SUMS; p++) {
            Arrays.fill(parts[p], 0, lanes, 0);
        }
        float sign = difference ? -1 : 1;
        for (int at = 0; at < n; at += lanes) {
            int size = Math.min(lanes, n - at);
            a.get(first + at, t[0], 0, size);
            q.get(first + at, t[1], 0, size);
            Accumulation.addSquares(t[0], t[1], sign, parts, size);
        }
        double[][] sums = new double[SUMS][channels];
        for (int s = 0; s < SUMS; s++) {
            float[] high = parts[2 * s];
            float[] low = parts[2 * s + 1];
            for (int half = lanes / 2; half >= channels; half /= 2) {
                System.arraycopy(high, half, t[0], 0, half);
                System.arraycopy(low, half, t[1], 0, half);
                Accumulation.add(t[0], t[1], high, low, half);
            }
            for (int c = 0; c < channels; c++) {
                sums[s][c] = (double) high[c] + low[c];
            }
        }
        return sums;
    }

    private static void load(FloatBuffer from, int first, float[] to, int n, int length) {
        from.get(first, to, 0, n);
        Arrays.fill(to, n, length, 0);
    }

    /** The mean error of a channel. */
    private double mean(int c) {
        return totals[0][c] / count + referenceBias[c] - bias[c];
    }

    @Override
    public void solve() {
        double[] means = new double[channels];
        for (int c = 0; c < channels; c++) {
            means[c] = mean(c);
        }
        solution.solve(means);
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return solution.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        double[] means = new double[channels];
        double[] variances = new double[channels];
        double[] referenceMeans = new double[channels];
        double[] powers = new double[channels];
        for (int c = 0; c < channels; c++) {
            double shift = referenceBias[c] - bias[c];
            double squares = totals[1][c] / count + 2 * shift * totals[0][c] / count + shift * shift;
            double reference = totals[2][c] / count;
            means[c] = mean(c);
            variances[c] = squares - means[c] * means[c];
            referenceMeans[c] = reference + referenceBias[c];
            powers[c] = totals[3][c] / count + 2 * referenceBias[c] * reference + referenceBias[c] * referenceBias[c];
        }
        return solution.moments(
                samples,
                means,
                variances,
                referenceMeans,
                powers,
                perChannel ? Optional.of(squaredSampleMeans) : Optional.empty());
    }

    @Override
    public void close() {
        solution.close();
    }
}
