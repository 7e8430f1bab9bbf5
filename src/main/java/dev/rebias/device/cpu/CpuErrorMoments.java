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
    private static final int SUMS = ErrorSums.SUMS;

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
        double weight = (double) batch.samples() / batch.units().length;
        for (double[][] unit : batch.units()) {
            for (int c = 0; c < channels; c++) {
                for (int s = 0; s < SUMS; s++) {
                    totals[s][c] += unit[s][c];
                }
                double mean = unit[0][c] / batch.positions() + referenceBias[c] - bias[c];
                squaredSampleMeans[c] += mean * mean * weight;
            }
        }
        samples += batch.samples();
        count += batch.positions() * batch.units().length;
    }

    /** The sums of the elements [first, first + n), channels last. */
    private double[][] sums(FloatBuffer first, FloatBuffer output, int at, int n, boolean difference) {
        double[][] sums = new ErrorSums(context.lane(), channels, first, output, difference ? -1 : 1).of(at, n);
        // What was given is the error, or with a difference the float layer's output.
        return difference ? new double[][] {sums[2], sums[3], sums[0], sums[1]} : sums;
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
