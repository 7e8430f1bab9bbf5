package dev.rebias.device.cpu;

import dev.rebias.device.Tensor;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.op.Unfolding;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Second moments of a layer's unfolded input on the CPU. Rows are unfolded a few at a time, never a whole batch:
 * {@value #ROWS} rows are products of floats that are exact for integers, since 256 times 255^2 is below 2^24, and are
 * then added to doubles, which are exact for them too.
 */
final class CpuUnfoldedSums implements UnfoldedSums {
    /** As many products of integers of up to 255 can be added up in a float without any rounding. */
    static final int ROWS = 256;

    private final CpuContext context;
    private final WeightError layer;
    private final Unfolding unfolding;
    private final boolean joint;
    private final Map<List<Long>, Unfolding.Places> places = new ConcurrentHashMap<>();
    private final SortedMap<Integer, UnfoldedTotals> early = new TreeMap<>();
    private UnfoldedTotals totals;
    private int next;

    CpuUnfoldedSums(CpuContext context, WeightError layer, boolean joint) {
        this.context = context;
        this.layer = layer;
        this.unfolding = Unfolding.of(layer.op(), layer.shape()).orElseThrow();
        this.joint = joint;
        this.totals = UnfoldedTotals.empty(unfolding);
    }

    @Override
    public void add(List<Tensor> tensors, int batch, int samples) {
        CpuTensor data = (CpuTensor) tensors.get(joint ? 1 : 0);
        long[] shape = data.shape();
        Unfolding.Places where =
                places.computeIfAbsent(Arrays.stream(shape).boxed().toList(), s -> unfolding.places(shape));
        boolean convolution = shape.length > 2 && layer.shape().length > 2;
        Layout layout = convolution ? Layout.CHANNELS_LAST : Layout.PLAIN;
        int channels = unfolding.inputs() * unfolding.groups();
        int entries = Math.toIntExact(shape[0]);
        UnfoldedTotals own = UnfoldedTotals.none(unfolding, joint);
        try (RowProducts products = unfolding.isDepthwise()
                        ? new DepthwiseProducts(layer, unfolding, where, joint, own)
                        : new DenseProducts(context, layer, unfolding, where, joint, own);
                Elements elements = new Elements(context, data, layout, layer.zero());
                Elements references = new Elements(context, (CpuTensor) tensors.get(0), layout, layer.zero())) {
            float[] p = new float[where.size() * channels];
            float[] v = new float[joint ? p.length : 0];
            for (int n = 0; n < entries; n++) {
                elements.read(n * p.length, p, p.length);
                if (joint) {
                    references.read(n * p.length, v, p.length);
                    ElementLoops.subtract(v, (float) layer.scale(), p, p.length);
                }
                products.add(p, v);
            }
            products.finish();
        }
        long rows = (long) where.positions() * entries;
        enter(
                batch,
                new UnfoldedTotals(
                        unfolding,
                        own.sums(),
                        own.products(),
                        own.differences(),
                        own.crossed(),
                        own.references(),
                        own.squares(),
                        rows,
                        samples));
    }

    /** Sums of integers are exact in any order, so none has to wait. */
    private synchronized void enter(int batch, UnfoldedTotals own) {
        if (!joint && layer.dataType().isPresent()) {
            totals = totals.plus(own);
            return;
        }
        early.put(batch, own);
        for (UnfoldedTotals ready = early.remove(next); ready != null; ready = early.remove(next)) {
            next++;
            totals = totals.plus(ready);
        }
    }

    @Override
    public synchronized UnfoldedTotals totals() {
        early.values().forEach(own -> totals = totals.plus(own));
        early.clear();
        return totals;
    }

    @Override
    public void close() {
        early.clear();
        totals = UnfoldedTotals.empty(unfolding);
    }
}
