package dev.rebias.device.cpu;

import dev.rebias.device.ErrorMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.op.BiasGrid;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Error moments in Java loops: one pass over error and output, channels last. A sample is one unit of work: its sums are formed on their own, in memory
 * order, and added to the totals in sample order; so neither threads nor batch sizes change a bit.
 *
 * <p>What is summed is what the layers computed, without biases; these follow in closed form: with e = x + s, sum e^2 = sum x^2 + 2 s sum x + n s^2.
 */
final class CpuErrorMoments extends CpuMeasurement implements ErrorMoments {
    /** Per channel and sample: sum x, sum x^2 of the error without biases; sum x, sum x^2 of the float layer's output without its bias. */
    private static final int SUMS = ErrorSums.SUMS;

    private final double[][] totals;
    private final InOrder<Batch> order = new InOrder<>(this::add);
    private long count;
    /** How many positions a sample of the first batch has; others are weighted to count as many, so that every sample has equal weight. */
    private long usualPositions;

    /** A batch's sums: for each unit of work, {@link #SUMS} x channels. */
    private record Batch(double[][][] units, long positions, int samples) {}

    CpuErrorMoments(CpuContext context, double[] bias, double[] referenceBias, BiasGrid grid) {
        super(context, bias, referenceBias, grid);
        this.totals = new double[SUMS][bias.length];
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
        int channels = channels();
        if (!Arrays.equals(first.shape(), shape) || shape[channelAxis] != channels) {
            throw new IllegalArgumentException("error moments over " + channels + " channels along axis " + channelAxis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        int units = units(shape[0], batchSamples);
        Layout layout = channelAxis == shape.length - 1 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        double[][][] sums = new double[units][][];
        int perUnit = Math.toIntExact(Shape.elements(shape) / units);
        try (CpuTensor a = context().layouts().in(layout, (CpuTensor) first);
                CpuTensor q = context().layouts().in(layout, (CpuTensor) output)) {
            FloatBuffer x = a.floats();
            FloatBuffer y = q.floats();
            for (int unit = 0; unit < units; unit++) {
                sums[unit] = sums(x, y, unit * perUnit, perUnit, difference);
            }
        }
        order.enter(batch, new Batch(sums, perUnit / channels, batchSamples));
    }

    private void add(Batch batch) {
        double[] means = new double[channels()];
        double weight = (double) batch.samples() / batch.units().length;
        usualPositions = usualPositions == 0 ? batch.positions() : usualPositions;
        double alike = (double) usualPositions / batch.positions();
        for (double[][] unit : batch.units()) {
            for (int c = 0; c < means.length; c++) {
                for (int s = 0; s < SUMS; s++) {
                    totals[s][c] += alike * unit[s][c];
                }
                means[c] = unit[0][c] / batch.positions() + biasError(c);
            }
            addSample(means, weight);
        }
        count(batch.samples());
        count += usualPositions * batch.units().length;
    }

    /** The sums of the elements [first, first + n), channels last. */
    private double[][] sums(FloatBuffer first, FloatBuffer output, int at, int n, boolean difference) {
        double[][] sums = new ErrorSums(context().lane(), channels(), first, output, difference ? -1 : 1).of(at, n);
        // What was given is the error, or with a difference the float layer's output.
        return difference ? new double[][] {sums[2], sums[3], sums[0], sums[1]} : sums;
    }

    private double[] meanErrors() {
        double[] means = new double[channels()];
        for (int c = 0; c < means.length; c++) {
            means[c] = totals[0][c] / count + biasError(c);
        }
        return means;
    }

    @Override
    public void solve() {
        solve(meanErrors());
    }

    @Override
    public Moments read(boolean perChannel) {
        double[] means = meanErrors();
        double[] variances = new double[means.length];
        double[] referenceMeans = new double[means.length];
        double[] powers = new double[means.length];
        for (int c = 0; c < means.length; c++) {
            double shift = biasError(c);
            double squares = totals[1][c] / count + 2 * shift * totals[0][c] / count + shift * shift;
            double reference = totals[2][c] / count;
            double bias = referenceBias(c);
            variances[c] = squares - means[c] * means[c];
            referenceMeans[c] = reference + bias;
            powers[c] = totals[3][c] / count + 2 * bias * reference + bias * bias;
        }
        return moments(means, variances, referenceMeans, powers, perChannel);
    }
}
