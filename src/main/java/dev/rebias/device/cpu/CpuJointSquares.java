package dev.rebias.device.cpu;

import dev.rebias.device.JointInputSquares;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.BiasGrid;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * The closed form of a pointwise convolution's errors and their squares, where each network's layer has data of its own: the floats x and the integers q, which stand for scale (q - zero). With p = q - zero and
 * v = x - scale p, both small where the networks are alike, e and y_f are {@link LinearForms} of the columns (p, v), with the weights (scale (W_f - W_q), W_f) and (scale W_f, W_f). The products of p with
 * itself are sums of integers ({@link SecondMoments}); those of v are products of floats, made for each sample on its own and added in sample order, so neither threads nor batch sizes change a bit. Their means
 * are taken away afterwards: the variance of e is known to some 1e-6 of the mean of e^2.
 */
final class CpuJointSquares extends CpuMeasurement implements JointInputSquares {
    /** From here on what is made of a sample's products is larger than the caches near by. */
    private static final int MOST_INPUTS = 64;

    /** At each position 2 inputs^2 products of floats are made, and at each output an error is saved. */
    private static final int OUTPUTS_PER_INPUT = 2;

    /** How many elements are worked on together: so few that they stay in the nearest cache. */
    private static final int TILE = 512;

    private final WeightError weights;
    private final boolean perSample;
    private final int inputs;
    private final LinearForms forms;
    private final SecondMoments integers;
    private final InOrder<Batch> order = new InOrder<>(this::add);
    /** The sums of v v' and of v p', in floats and what these have lost. */
    private final float[] products;

    private final float[] lost;
    private final double[] sums;

    /** Of one unit of work: v v' and v p', one behind the other, the sums of v, and those of p where they are wanted. */
    private record Unit(float[] products, double[] sums, double[] integers) {}

    private record Batch(Unit[] units, long positions, int samples) {}

    CpuJointSquares(
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
        double[] real =
                Arrays.stream(weights.reference()).map(w -> w / weights.scale()).toArray();
        this.forms = new LinearForms(
                this, 2 * inputs, besides(weights.difference(), real), besides(weights.reference(), real));
        this.integers = new SecondMoments(context, weights.dataType().orElseThrow(), inputs);
        this.products = new float[2 * inputs * inputs];
        this.lost = new float[products.length];
        this.sums = new double[inputs];
    }

    /** Whether this is how such a layer's errors are best found here. */
    static boolean suits(WeightError weights) {
        long outputs = weights.shape()[0];
        long inputs = weights.shape()[1];
        return CpuInputSquares.suits(weights)
                && inputs <= MOST_INPUTS
                && OUTPUTS_PER_INPUT * inputs <= outputs
                // So that scale p is as exact as a float can be.
                && (float) weights.scale() == weights.scale();
    }

    /** Two matrices of as many rows, [rows, inputs] each, as one. */
    private double[] besides(double[] left, double[] right) {
        double[] both = new double[2 * left.length];
        for (int row = 0; row < left.length / inputs; row++) {
            System.arraycopy(left, row * inputs, both, 2 * row * inputs, inputs);
            System.arraycopy(right, row * inputs, both, (2 * row + 1) * inputs, inputs);
        }
        return both;
    }

    @Override
    public void addInputs(Tensor reference, Tensor data, int batch, int batchSamples) {
        CpuTensor q = (CpuTensor) data;
        long[] shape = q.shape();
        int units = units(shape[0], batchSamples);
        int rows = Math.toIntExact(Shape.elements(shape) / inputs / units);
        integers.add(context().layouts().bytes(q, Layout.CHANNELS_LAST), (long) units * rows);
        Unit[] all = new Unit[units];
        long bytes = (long) rows * inputs * Float.BYTES;
        long expanded = context().layouts().expanded(q, Layout.CHANNELS_LAST, weights.zero());
        try (CpuTensor x = context().layouts().in(Layout.CHANNELS_LAST, (CpuTensor) reference)) {
            for (int unit = 0; unit < units; unit++) {
                all[unit] = unit(x.address() + unit * bytes, expanded + unit * bytes, rows);
            }
        }
        order.enter(batch, new Batch(all, rows, batchSamples));
    }

    /** Of rows of x and of p. */
    private Unit unit(long x, long p, int rows) {
        Lane lane = context().lane();
        long differences = lane.between((long) (rows * inputs + products.length) * Float.BYTES);
        long results = differences + (long) rows * inputs * Float.BYTES;
        double[] ofIntegers = new double[perSample ? inputs : 0];
        double[] ofDifferences = subtract(lane, x, p, differences, rows, ofIntegers);
        Primitive product = context().products().ofFloats(true, inputs, rows, inputs);
        product.execute(lane, differences, differences, results);
        product.execute(lane, differences, p, results + (long) inputs * inputs * Float.BYTES);
        float[] own = new float[products.length];
        Layouts.floats(results, own.length).get(0, own);
        return new Unit(own, ofDifferences, ofIntegers);
    }

    /**
     * Makes v of x and p.
     *
     * @param ofIntegers becomes the sums of p, if it has room for them
     * @return the sums of v
     */
    private double[] subtract(Lane lane, long x, long p, long v, int rows, double[] ofIntegers) {
        int n = rows * inputs;
        int lanes = inputs * Math.max(1, TILE / inputs);
        float[][] tiles = lane.tiles(6, lanes);
        for (int sum = 2; sum < 6; sum++) {
            Arrays.fill(tiles[sum], 0, lanes, 0);
        }
        FloatBuffer floats = Layouts.floats(x, n);
        FloatBuffer integral = Layouts.floats(p, n);
        FloatBuffer differences = Layouts.floats(v, n);
        float scale = (float) weights.scale();
        for (int at = 0; at < n; at += lanes) {
            int length = Math.min(lanes, n - at);
            floats.get(at, tiles[0], 0, length);
            integral.get(at, tiles[1], 0, length);
            if (perSample) {
                Accumulation.add(tiles[1], tiles[4], tiles[5], length);
            }
            ElementLoops.subtract(tiles[0], scale, tiles[1], length);
            Accumulation.add(tiles[0], tiles[2], tiles[3], length);
            differences.put(at, tiles[0], 0, length);
        }
        double[] sums = new double[inputs];
        fold(tiles[2], tiles[3], lanes, sums);
        if (perSample) {
            fold(tiles[4], tiles[5], lanes, ofIntegers);
        }
        return sums;
    }

    private static void fold(float[] high, float[] low, int lanes, double[] sums) {
        for (int at = 0; at < lanes; at += sums.length) {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += (double) high[at + i] + low[at + i];
            }
        }
    }

    private void add(Batch batch) {
        double[] means = new double[2 * inputs];
        double weight = (double) batch.samples() / batch.units().length;
        for (Unit unit : batch.units()) {
            Accumulation.add(unit.products(), products, lost, products.length);
            for (int i = 0; i < inputs; i++) {
                sums[i] += unit.sums()[i];
            }
            if (perSample) {
                for (int i = 0; i < inputs; i++) {
                    means[i] = unit.integers()[i] / batch.positions();
                    means[inputs + i] = unit.sums()[i] / batch.positions();
                }
                addSample(forms.meanErrors(means), weight);
            }
        }
        count(batch.samples());
    }

    /** The means of p, then of v. */
    private double[] means() {
        double[] means = new double[2 * inputs];
        for (int i = 0; i < inputs; i++) {
            means[i] = integers.mean(i) - weights.zero();
            means[inputs + i] = sums[i] / integers.count();
        }
        return means;
    }

    @Override
    public void solve() {
        integers.finish();
        solve(forms.meanErrors(means()));
    }

    @Override
    public Moments read(boolean perChannel) {
        double[] means = means();
        return forms.moments(means, (column, to) -> covariances(means, column, to), perChannel);
    }

    private void covariances(double[] means, int column, float[] to) {
        boolean ofIntegers = column < inputs;
        if (ofIntegers) {
            integers.covariances(column, to);
        }
        for (int i = 0; i < inputs; i++) {
            // Of v[i] and p[column], or of v[column] and p[i], then v[i].
            if (ofIntegers) {
                to[inputs + i] = covariance(means, inputs * inputs + i * inputs + column, inputs + i, column);
            } else {
                int row = (column - inputs) * inputs + i;
                to[i] = covariance(means, inputs * inputs + row, column, i);
                to[inputs + i] = covariance(means, row, column, inputs + i);
            }
        }
    }

    private float covariance(double[] means, int product, int first, int second) {
        double mean = ((double) products[product] + lost[product]) / integers.count();
        return (float) (mean - means[first] * means[second]);
    }

    @Override
    public void close() {
        integers.close();
        super.close();
    }
}
