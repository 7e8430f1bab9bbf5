package dev.rebias.device.cpu;

import dev.rebias.device.InputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.Gemm;
import dev.rebias.op.IntegerLayer;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The closed form of a layer's mean error: one pass over its data, channels last, that adds up rows of a class as a whole. As with {@link CpuErrorMoments}, a
 * sample's sums are formed on their own and added in sample order.
 */
final class CpuInputMoments implements InputMoments {
    private final CpuContext context;
    private final WeightError weights;
    private final double[] shift;
    private final Solution solution;
    private final Map<String, Taps> taps = new ConcurrentHashMap<>();
    private final InOrder<Batch> order = new InOrder<>(this::add);
    /** For each form of data that came, the sums over all samples. */
    private final Map<Taps, double[][]> totals = new LinkedHashMap<>();

    private long samples;
    private long positions;

    /** A batch's sums: for each unit of work, combinations of classes x input channels. */
    private record Batch(double[][][] units, Taps taps, int samples) {}

    CpuInputMoments(CpuContext context, double[] bias, double[] referenceBias, float[] steps, WeightError weights) {
        this.context = context;
        this.weights = weights;
        this.shift = new double[bias.length];
        for (int c = 0; c < bias.length; c++) {
            shift[c] = referenceBias[c] - bias[c];
        }
        this.solution = new Solution(context, bias, steps);
    }

    @Override
    public void addInput(Tensor data, int batch, int batchSamples) {
        CpuTensor given = (CpuTensor) data;
        long[] shape = given.shape();
        boolean side = weights.op() instanceof Gemm g && g.transA();
        // Each entry of axis 0 is summed on its own; data that have their samples side by side are one piece.
        long[] unit = shape.clone();
        if (!side) {
            unit[0] = 1;
        }
        Taps of = taps.computeIfAbsent(Shape.text(unit), k -> new Taps(weights, unit));
        int units = side ? 1 : Math.toIntExact(shape[0]);
        double[][][] sums = new double[units][][];
        Layout layout = of.dimensions() == 0 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        try (Elements x = new Elements(context, given, layout, weights.zero())) {
            for (int n = 0; n < units; n++) {
                sums[n] = side ? side(x, shape) : sums(x, of, n, unit);
            }
        }
        order.enter(batch, new Batch(sums, of, batchSamples));
    }

    /** The sums of one entry of axis 0. */
    private double[][] sums(Elements x, Taps of, int n, long[] unit) {
        int spatial = of.dimensions();
        int channels = Math.toIntExact(spatial == 0 ? unit[unit.length - 1] : unit[1]);
        int width = spatial == 0 ? 1 : Math.toIntExact(unit[unit.length - 1]);
        int length = width * channels;
        int elements = Math.toIntExact(Shape.elements(unit));
        int rows = length == 0 ? 0 : elements / length;
        int rowKinds = spatial == 0 ? 1 : of.combinations() / of.kinds(spatial - 1);
        int columnKinds = of.combinations() / rowKinds;
        float[][] tiles = context.lane().tiles(1 + 2 * rowKinds, length);
        for (int k = 0; k < 2 * rowKinds; k++) {
            Arrays.fill(tiles[1 + k], 0, length, 0);
        }
        // Sums of integers below 2^8 need no more than a float, as long as they are few enough.
        boolean exact = weights.dataType().isPresent() && rows <= IntegerLayer.EXACT / 256;
        int[] index = new int[Math.max(0, spatial - 1)];
        for (int row = 0; row < rows; row++) {
            int kind = 0;
            for (int i = 0; i < index.length; i++) {
                kind = kind * of.kinds(i) + of.kind(i, index[i]);
            }
            x.read(n * elements + row * length, tiles[0], length);
            if (exact) {
                ElementLoops.add(tiles[0], tiles[1 + 2 * kind], tiles[1 + 2 * kind], length);
            } else {
                Accumulation.add(tiles[0], tiles[1 + 2 * kind], tiles[2 + 2 * kind], length);
            }
            for (int i = index.length - 1; i >= 0 && ++index[i] == unit[i + 2]; i--) {
                index[i] = 0;
            }
        }
        double[][] sums = new double[rowKinds * columnKinds][channels];
        for (int k = 0; k < rowKinds; k++) {
            float[] high = tiles[1 + 2 * k];
            float[] low = tiles[2 + 2 * k];
            for (int w = 0; w < width; w++) {
                double[] to = sums[k * columnKinds + (spatial == 0 ? 0 : of.kind(spatial - 1, w))];
                for (int c = 0; c < channels; c++) {
                    to[c] += (double) high[w * channels + c] + low[w * channels + c];
                }
            }
        }
        return sums;
    }

    /** The sums of data [channels, samples]. */
    private double[][] side(Elements x, long[] shape) {
        int channels = Math.toIntExact(shape[0]);
        int columns = Math.toIntExact(shape[1]);
        double[][] sums = new double[1][channels];
        float[] row = context.lane().tiles(1, columns)[0];
        for (int c = 0; c < channels; c++) {
            x.read(c * columns, row, columns);
            for (int i = 0; i < columns; i++) {
                sums[0][c] += row[i];
            }
        }
        return sums;
    }

    private void add(Batch batch) {
        for (double[][] unit : batch.units()) {
            double[][] total = totals.computeIfAbsent(batch.taps(), t -> new double[unit.length][unit[0].length]);
            for (int k = 0; k < unit.length; k++) {
                for (int c = 0; c < unit[k].length; c++) {
                    total[k][c] += unit[k][c];
                }
            }
        }
        samples += batch.samples();
        positions += batch.taps().positions() * batch.units().length;
    }

    @Override
    public void solve() {
        double[] mean = new double[shift.length];
        totals.forEach((of, sums) -> {
            double[] errors = of.errors(sums);
            for (int c = 0; c < mean.length; c++) {
                mean[c] += errors[c] / positions;
            }
        });
        for (int c = 0; c < mean.length; c++) {
            mean[c] += shift[c];
        }
        solution.solve(mean);
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return solution.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        return new Moments(samples, solution.rounded(), Optional.empty(), Optional.empty());
    }

    @Override
    public void close() {
        solution.close();
    }
}
