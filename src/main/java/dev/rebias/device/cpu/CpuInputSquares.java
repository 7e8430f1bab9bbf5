package dev.rebias.device.cpu;

import dev.rebias.device.InputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.Convolution;
import dev.rebias.tensor.Shape;
import java.util.Optional;

/**
 * The closed form of a pointwise convolution's errors and their squares. Its output is W (q - zero) at every position, so with m and S the mean and the covariance of the data q
 * over all samples and positions, and D = W_f - W_q,
 *
 * <pre>
 * mean of e = D (m - zero) + (b_f - b_q)        variance of e = diagonal of D S D'
 * </pre>
 *
 * and the same of y_f with W_f. Nothing is computed that depends on both positions and output channels; S is found by {@link SecondMoments}, one product of bytes.
 */
final class CpuInputSquares implements InputMoments {
    /** From here on a product of a matrix with S for every layer costs more than it saves. */
    private static final int MOST_INPUTS = 512;

    /** S takes inputs^2 products of bytes per position, the errors inputs x outputs of floats and reading them again. */
    private static final int INPUTS_PER_OUTPUT = 4;

    private final CpuContext context;
    private final WeightError weights;
    private final double[] bias;
    private final double[] referenceBias;
    private final boolean perSample;
    private final int inputs;
    private final Solution solution;
    private final SecondMoments data;
    private final InOrder<Batch> order = new InOrder<>(this::add);
    private final double[] squaredSampleMeans;
    private long samples;

    /** A batch's means: for each unit of work and input channel the mean of q - zero, where they are wanted. */
    private record Batch(double[][] units, int samples) {}

    CpuInputSquares(
            CpuContext context,
            double[] bias,
            double[] referenceBias,
            float[] steps,
            WeightError weights,
            boolean perSample) {
        this.context = context;
        this.weights = weights;
        this.bias = bias.clone();
        this.referenceBias = referenceBias.clone();
        this.perSample = perSample;
        this.inputs = Math.toIntExact(weights.shape()[1]);
        this.solution = new Solution(context, bias, steps);
        this.data = new SecondMoments(context, weights.dataType().orElseThrow(), inputs);
        this.squaredSampleMeans = new double[bias.length];
    }

    /** Whether this is how such a layer's errors are best found here. */
    static boolean suits(WeightError weights) {
        if (!(weights.op() instanceof Convolution c)
                || c.group() != 1
                || weights.dataType().isEmpty()
                || !OneDnn.multipliesBytes()) {
            return false;
        }
        long outputs = weights.shape()[0];
        long inputs = weights.shape()[1];
        return c.window().isPointwise() && inputs <= MOST_INPUTS && inputs <= INPUTS_PER_OUTPUT * outputs;
    }

    @Override
    public void addInput(Tensor tensor, int batch, int batchSamples) {
        CpuTensor x = (CpuTensor) tensor;
        long[] shape = x.shape();
        long rows = Shape.elements(shape) / inputs;
        double[][] means = perSample ? sampleMeans(x, batchSamples) : new double[0][];
        data.add(context.layouts().bytes(x, Layout.CHANNELS_LAST), rows);
        order.enter(batch, new Batch(means, batchSamples));
    }

    private double[][] sampleMeans(CpuTensor x, int batchSamples) {
        int entries = Math.toIntExact(x.shape()[0]);
        // As for computed errors: where axis 0 is no multiple of the batch, its entries do not belong to samples one by
        // one.
        int units = entries % batchSamples == 0 ? batchSamples : 1;
        int rows = Math.toIntExact(Shape.elements(x.shape()) / inputs / units);
        double[][] means = new double[units][inputs];
        float[] row = context.lane().tiles(1, inputs)[0];
        try (Elements elements = new Elements(context, x, Layout.CHANNELS_LAST, weights.zero())) {
            for (int n = 0; n < units; n++) {
                for (int r = 0; r < rows; r++) {
                    elements.read((n * rows + r) * inputs, row, inputs);
                    for (int c = 0; c < inputs; c++) {
                        means[n][c] += row[c];
                    }
                }
                for (int c = 0; c < inputs; c++) {
                    means[n][c] /= rows;
                }
            }
        }
        return means;
    }

    private void add(Batch batch) {
        for (double[] unit : batch.units()) {
            double[] errors = errors(unit);
            for (int c = 0; c < errors.length; c++) {
                squaredSampleMeans[c] += errors[c] * errors[c] * batch.samples() / batch.units().length;
            }
        }
        samples += batch.samples();
    }

    /** Row c of a matrix [channels, inputs] times a vector. */
    private double dot(double[] matrix, int c, double[] vector) {
        return Taps.dot(matrix, c * inputs, vector, 0, inputs);
    }

    /** The mean of q - zero of every input channel. */
    private double[] means() {
        double[] means = new double[inputs];
        for (int i = 0; i < inputs; i++) {
            means[i] = data.mean(i) - weights.zero();
        }
        return means;
    }

    @Override
    public void solve() {
        data.finish();
        solution.solve(errors(means()));
    }

    /** The mean error of every output channel, where the data have these means. */
    private double[] errors(double[] means) {
        double[] errors = new double[bias.length];
        for (int c = 0; c < errors.length; c++) {
            errors[c] = dot(weights.difference(), c, means) + referenceBias[c] - bias[c];
        }
        return errors;
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return solution.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        int channels = bias.length;
        double[] means = means();
        double[] variances = variances();
        double[] errors = errors(means);
        double[] references = new double[channels];
        double[] powers = new double[channels];
        for (int c = 0; c < channels; c++) {
            references[c] = dot(weights.reference(), c, means) + referenceBias[c];
            powers[c] = variances[channels + c] + references[c] * references[c];
        }
        return solution.moments(
                samples,
                errors,
                variances,
                references,
                powers,
                perChannel ? Optional.of(squaredSampleMeans) : Optional.empty());
    }

    /**
     * The variances of all channels' e, then of all their y_f. S is formed around the means, in double precision, so nothing large cancels out in the product with it, which is one of
     * floats; the second product is in double precision again.
     */
    private double[] variances() {
        int rows = 2 * bias.length;
        double[] variances = new double[rows];
        try (Floats left = new Floats(rows * inputs);
                Floats right = new Floats(inputs * inputs);
                Floats result = new Floats(rows * inputs)) {
            float[] row = new float[inputs];
            for (int c = 0; c < rows; c++) {
                double[] matrix = c < bias.length ? weights.difference() : weights.reference();
                for (int i = 0; i < inputs; i++) {
                    row[i] = (float) matrix[c % bias.length * inputs + i];
                }
                left.values().put(c * inputs, row, 0, inputs);
            }
            for (int i = 0; i < inputs; i++) {
                data.covariances(i, row);
                right.values().put(i * inputs, row, 0, inputs);
            }
            context.products()
                    .ofFloats(rows, inputs, inputs)
                    .execute(context.lane(), left.address(), right.address(), result.address());
            for (int c = 0; c < rows; c++) {
                double[] matrix = c < bias.length ? weights.difference() : weights.reference();
                result.values().get(c * inputs, row, 0, inputs);
                double sum = 0;
                for (int i = 0; i < inputs; i++) {
                    sum += matrix[c % bias.length * inputs + i] * row[i];
                }
                variances[c] = sum;
            }
        }
        return variances;
    }

    @Override
    public void close() {
        data.close();
        solution.close();
    }
}
