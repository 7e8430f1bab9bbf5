package dev.rebias.device.cpu;

import dev.rebias.device.InputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.Convolution;
import dev.rebias.tensor.Shape;

/**
 * The closed form of a pointwise convolution's errors and their squares, where both networks' layers are given the same data: the integers q. Its output is W (q - zero) at every position, so e and y_f are
 * {@link LinearForms} of q - zero, with the weights W_f - W_q and W_f. The covariances are found by {@link SecondMoments}, one product of bytes.
 */
final class CpuInputSquares extends CpuMeasurement implements InputMoments {
    /** From here on a product of a matrix with S for every layer costs more than it saves. */
    private static final int MOST_INPUTS = 512;

    /** S takes inputs^2 products of bytes per position, the errors inputs x outputs of floats and reading them again. */
    private static final int INPUTS_PER_OUTPUT = 4;

    private final WeightError weights;
    private final boolean perSample;
    private final int inputs;
    private final LinearForms forms;
    private final SecondMoments data;
    private final InOrder<Batch> order = new InOrder<>(this::add);

    /** A batch's means: for each unit of work and input channel the mean of q - zero, where they are wanted. */
    private record Batch(double[][] units, int samples) {}

    CpuInputSquares(
            CpuContext context,
            double[] bias,
            double[] referenceBias,
            BiasGrid grid,
            WeightError weights,
            boolean perSample) {
        super(context, bias, referenceBias, grid);
        this.weights = weights;
        this.perSample = perSample;
        this.inputs = Math.toIntExact(weights.shape()[1]);
        this.forms = new LinearForms(this, inputs, weights.difference(), weights.reference());
        this.data = new SecondMoments(context, weights.dataType().orElseThrow(), inputs);
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
        data.add(context().layouts().bytes(x, Layout.CHANNELS_LAST), rows);
        order.enter(batch, new Batch(means, batchSamples));
    }

    private double[][] sampleMeans(CpuTensor x, int batchSamples) {
        int units = units(x.shape()[0], batchSamples);
        int rows = Math.toIntExact(Shape.elements(x.shape()) / inputs / units);
        double[][] means = new double[units][inputs];
        float[] row = context().lane().tiles(1, inputs)[0];
        try (Elements elements = new Elements(context(), x, Layout.CHANNELS_LAST, weights.zero())) {
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
        double weight = (double) batch.samples() / batch.units().length;
        for (double[] unit : batch.units()) {
            addSample(forms.meanErrors(unit), weight);
        }
        count(batch.samples());
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
        solve(forms.meanErrors(means()));
    }

    @Override
    public Moments read(boolean perChannel) {
        return forms.moments(means(), data::covariances, perChannel);
    }

    @Override
    public void close() {
        data.close();
        super.close();
    }
}
