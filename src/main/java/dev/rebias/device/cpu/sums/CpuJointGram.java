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
import dev.rebias.device.cpu.onednn.Layouts;
import dev.rebias.device.cpu.onednn.Primitive;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The Gram matrix of a pointwise convolution's two inputs: the floats x and the integers q, which stand for scale (q -
 * zero). With p = q - zero and v = x - scale p, both small where the networks are alike, the columns are (p, v). The
 * products of p with itself are sums of integers ({@link SecondMoments}); those of v are products of floats, made for
 * each sample on its own and added to exact totals. Their means are taken away afterwards: the variance of e is known
 * to some 1e-6 of the mean of e^2.
 */
public final class CpuJointGram implements Gram {
    /** From here on what is made of a sample's products is larger than the caches near by. */
    private static final int MOST_INPUTS = 64;

    /** At each position 2 inputs^2 products of floats are made, and at each output an error is saved. */
    private static final int OUTPUTS_PER_INPUT = 2;

    /** How many elements are worked on together: so few that they stay in the nearest cache. */
    private static final int TILE = 512;

    private final CpuContext context;
    private final WeightError weights;
    private final boolean perSample;
    private final int inputs;
    private final SecondMoments integers;
    /** Each thread adds up its own. */
    private final Map<ThreadScratch, GramTotals.Differences> differences = new ConcurrentHashMap<>();

    private final SampleSquares squares;
    private long samples;

    /**
     * Of one unit of work: v v' and v p', one behind the other, the sums of v, and those of p where they are wanted.
     */
    private record Unit(float[] products, double[] sums, double[] integers) {}

    /** Parameters as for {@link dev.rebias.device.Device#gram}. */
    public CpuJointGram(CpuContext context, WeightError weights, boolean perSample) {
        this.context = context;
        this.weights = weights;
        this.perSample = perSample;
        this.inputs = Math.toIntExact(weights.shape()[1]);
        this.integers = new SecondMoments(context, weights.dataType().orElseThrow(), inputs);
        this.squares = new SampleSquares(context, weights.jointErrors(), 2 * inputs, perSample);
    }

    /** Whether this is how such a layer's errors are best found here. */
    public static boolean suits(WeightError weights) {
        long outputs = weights.shape()[0];
        long inputs = weights.shape()[1];
        return CpuGram.suits(weights)
                && inputs <= MOST_INPUTS
                && OUTPUTS_PER_INPUT * inputs <= outputs
                // So that scale p is as exact as a float can be.
                && (float) weights.scale() == weights.scale();
    }

    @Override
    public void add(List<Tensor> tensors, int batchSamples) {
        CpuTensor q = (CpuTensor) tensors.get(1);
        long[] shape = q.shape();
        int units = ErrorTotals.units(shape[0], batchSamples);
        int rows = Math.toIntExact(Shape.elements(shape) / inputs / units);
        integers.add(context.layouts().bytes(q, Layout.CHANNELS_LAST), (long) units * rows);
        Unit[] all = new Unit[units];
        long bytes = (long) rows * inputs * Float.BYTES;
        long expanded = context.layouts().expanded(q, Layout.CHANNELS_LAST, weights.zero());
        try (CpuTensor x = context.layouts().in(Layout.CHANNELS_LAST, (CpuTensor) tensors.get(0))) {
            for (int unit = 0; unit < units; unit++) {
                all[unit] = unit(x.address() + unit * bytes, expanded + unit * bytes, rows);
            }
        }
        add(all, rows, batchSamples);
    }

    /** Of rows of x and of p. */
    private Unit unit(long x, long p, int rows) {
        ThreadScratch scratch = context.scratch();
        long differences = scratch.between((long) (rows * inputs + 2 * inputs * inputs) * Float.BYTES);
        long results = differences + (long) rows * inputs * Float.BYTES;
        double[] ofIntegers = new double[perSample ? inputs : 0];
        double[] ofDifferences = subtract(scratch, x, p, differences, rows, ofIntegers);
        Primitive product = context.products().ofFloats(true, inputs, rows, inputs);
        product.execute(scratch, differences, differences, results);
        product.execute(scratch, differences, p, results + (long) inputs * inputs * Float.BYTES);
        float[] own = new float[2 * inputs * inputs];
        Layouts.floats(results, own.length).get(0, own);
        return new Unit(own, ofDifferences, ofIntegers);
    }

    /**
     * Makes v of x and p.
     *
     * @param ofIntegers becomes the sums of p, if it has room for them
     * @return the sums of v
     */
    private double[] subtract(ThreadScratch scratch, long x, long p, long v, int rows, double[] ofIntegers) {
        int n = rows * inputs;
        int lanes = inputs * Math.max(1, TILE / inputs);
        float[][] tiles = scratch.tiles(6, lanes);
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

    private void add(Unit[] units, long positions, int batchSamples) {
        GramTotals.Differences own =
                differences.computeIfAbsent(context.scratch(), k -> GramTotals.Differences.none(inputs));
        double[][] means = new double[perSample ? units.length : 0][2 * inputs];
        for (int n = 0; n < units.length; n++) {
            Unit unit = units[n];
            own.products().add(0, unit.products());
            own.sums().add(0, unit.sums());
            for (int i = 0; i < inputs && perSample; i++) {
                means[n][i] = unit.integers()[i] / positions;
                means[n][inputs + i] = unit.sums()[i] / positions;
            }
        }
        if (perSample) {
            squares.add(means, batchSamples);
        }
        synchronized (this) {
            samples += batchSamples;
        }
    }

    @Override
    public GramTotals totals() {
        integers.finish();
        GramTotals.Differences all = differences.values().stream()
                .reduce((a, b) -> {
                    a.add(b);
                    return a;
                })
                .orElseGet(() -> GramTotals.Differences.none(inputs));
        return new GramTotals(
                integers.sums(),
                integers.products(),
                weights.zero(),
                Optional.of(all),
                squares.sums(),
                integers.count(),
                samples);
    }

    @Override
    public void close() {
        integers.close();
    }
}
