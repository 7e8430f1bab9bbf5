package dev.rebias.device.cpu.sums;

import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Gram;
import dev.rebias.device.GramTotals;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.op.Convolution;
import dev.rebias.tensor.Shape;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.List;
import java.util.Optional;

/**
 * The Gram matrix of a pointwise convolution's input, the integers q, by {@link SecondMoments}: one product of bytes.
 */
public final class CpuGram implements Gram {
    /** From here on a product of a matrix with S for every layer costs more than it saves. */
    private static final int MOST_INPUTS = 512;

    /**
     * S takes inputs^2 products of bytes per position, the errors inputs x outputs of floats and reading them again.
     */
    private static final int INPUTS_PER_OUTPUT = 4;

    private final CpuContext context;
    private final WeightError weights;
    private final boolean perSample;
    private final int inputs;
    private final SecondMoments data;
    private final SampleSquares squares;
    private long samples;

    /** Parameters as for {@link dev.rebias.device.Device#gram}. */
    public CpuGram(CpuContext context, WeightError weights, boolean perSample) {
        this.context = context;
        this.weights = weights;
        this.perSample = perSample;
        this.inputs = Math.toIntExact(weights.shape()[1]);
        this.data = new SecondMoments(context, weights.dataType().orElseThrow(), inputs);
        this.squares = new SampleSquares(context, weights.difference(), inputs, perSample);
    }

    /** Whether this is how such a layer's errors are best found here. */
    public static boolean suits(WeightError weights) {
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
    public void add(List<Tensor> tensors, int batchSamples) {
        CpuTensor x = (CpuTensor) tensors.get(0);
        long rows = Shape.elements(x.shape()) / inputs;
        if (perSample) {
            squares.add(sampleMeans(x, batchSamples), batchSamples);
        }
        data.add(context.layouts().bytes(x, Layout.CHANNELS_LAST), rows);
        synchronized (this) {
            samples += batchSamples;
        }
    }

    private double[][] sampleMeans(CpuTensor x, int batchSamples) {
        int units = ErrorTotals.units(x.shape()[0], batchSamples);
        int rows = Math.toIntExact(Shape.elements(x.shape()) / inputs / units);
        double[][] means = inputs % Long.BYTES == 0 ? sumsOfBytes(x, units, rows) : sums(x, units, rows);
        for (double[] unit : means) {
            for (int c = 0; c < inputs; c++) {
                unit[c] /= rows;
            }
        }
        return means;
    }

    private double[][] sumsOfBytes(CpuTensor x, int units, int rows) {
        double[][] sums = new double[units][inputs];
        ThreadScratch scratch = context.scratch();
        try (CpuTensor laid = context.layouts().in(Layout.CHANNELS_LAST, x)) {
            LongBuffer words =
                    laid.elements().duplicate().order(ByteOrder.nativeOrder()).asLongBuffer();
            for (int n = 0; n < units; n++) {
                double[] own = sums[n];
                ByteSums bytes =
                        new ByteSums(x.type(), weights.zero(), inputs, some -> ElementLoops.addTo(own, some, inputs));
                bytes.add(scratch, words, n * rows, rows);
                bytes.pass(scratch);
            }
        }
        return sums;
    }

    private double[][] sums(CpuTensor x, int units, int rows) {
        double[][] sums = new double[units][inputs];
        float[] row = context.scratch().tiles(1, inputs)[0];
        try (Elements elements = new Elements(context, x, Layout.CHANNELS_LAST, weights.zero())) {
            for (int n = 0; n < units; n++) {
                for (int r = 0; r < rows; r++) {
                    elements.read((n * rows + r) * inputs, row, inputs);
                    for (int c = 0; c < inputs; c++) {
                        sums[n][c] += row[c];
                    }
                }
            }
        }
        return sums;
    }

    @Override
    public GramTotals totals() {
        data.finish();
        return new GramTotals(
                data.sums(), data.products(), weights.zero(), Optional.empty(), squares.sums(), data.count(), samples);
    }

    @Override
    public void close() {
        data.close();
    }
}
