package dev.rebias.device.cpu.sums;

import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.op.Unfolding;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Second moments of a layer's unfolded input on the CPU. Rows are unfolded a few at a time, never a whole batch:
 * {@value #ROWS} rows are products of floats that are exact for integers, since 256 times 255^2 is below 2^24, and are
 * then added to doubles, which are exact for them too. So of integers each thread adds up its own, and rows of several
 * batches are multiplied together; of floats every batch is added up on its own.
 */
public final class CpuUnfoldedSums implements UnfoldedSums {
    /** As many products of integers of up to 255 can be added up in a float without any rounding. */
    static final int ROWS = 256;

    private final CpuContext context;
    private final WeightError layer;
    private final Unfolding unfolding;
    private final boolean joint;
    /** By the shape of an entry of axis 0. */
    private final Map<ShapeKey, Unfolding.Places> places = new ConcurrentHashMap<>();
    /** What each thread has added up of integers, which are exact in any order. */
    private final Map<ThreadScratch, Own> perThread = new ConcurrentHashMap<>();

    private final SortedMap<Integer, UnfoldedTotals> early = new TreeMap<>();
    private UnfoldedTotals totals;
    private int next;
    private volatile boolean closed;

    public CpuUnfoldedSums(CpuContext context, WeightError layer, boolean joint) {
        this.context = context;
        this.layer = layer;
        this.unfolding = Unfolding.of(layer.op(), layer.shape()).orElseThrow();
        this.joint = joint;
        this.totals = UnfoldedTotals.empty(unfolding);
    }

    /** Sums of some batches, for one thread. */
    private final class Own implements AutoCloseable {
        private final UnfoldedTotals sums = UnfoldedTotals.none(unfolding, joint);
        private final RowProducts products = unfolding.isDepthwise()
                ? new DepthwiseProducts(layer, unfolding, joint, sums)
                : new DenseProducts(context, layer, unfolding, joint, sums);
        private long rows;
        private long samples;

        void add(List<Tensor> tensors, int itsSamples) {
            CpuTensor data = (CpuTensor) tensors.get(joint ? 1 : 0);
            long[] unit = data.shape();
            int entries = Math.toIntExact(unit[0]);
            unit[0] = 1;
            Unfolding.Places where = places.computeIfAbsent(new ShapeKey(unit), k -> unfolding.places(unit));
            boolean convolution = unit.length > 2 && layer.shape().length > 2;
            Layout layout = convolution ? Layout.CHANNELS_LAST : Layout.PLAIN;
            float[] p = new float[where.size() * unfolding.inputs() * unfolding.groups()];
            float[] v = new float[joint ? p.length : 0];
            try (Elements elements = new Elements(context, data, layout, layer.zero())) {
                if (joint) {
                    add((CpuTensor) tensors.get(0), elements, layout, entries, where, p, v);
                } else {
                    for (int n = 0; n < entries; n++) {
                        elements.read(n * p.length, p, p.length);
                        products.add(where, p, v);
                    }
                }
            }
            rows += (long) where.positions() * entries;
            samples += itsSamples;
        }

        private void add(
                CpuTensor own,
                Elements elements,
                Layout layout,
                int entries,
                Unfolding.Places where,
                float[] p,
                float[] v) {
            try (Elements references = new Elements(context, own, layout, 0)) {
                for (int n = 0; n < entries; n++) {
                    elements.read(n * p.length, p, p.length);
                    references.read(n * p.length, v, p.length);
                    ElementLoops.subtract(v, (float) layer.scale(), p, p.length);
                    products.add(where, p, v);
                }
            }
        }

        /** All of them; nothing may be added any more. */
        UnfoldedTotals finished() {
            products.finish();
            return new UnfoldedTotals(
                    unfolding,
                    sums.sums(),
                    sums.products(),
                    sums.differences(),
                    sums.crossed(),
                    sums.references(),
                    sums.squares(),
                    rows,
                    samples);
        }

        @Override
        public void close() {
            products.close();
        }
    }

    @Override
    public void add(List<Tensor> tensors, int batch, int samples) {
        if (closed) {
            throw new IllegalStateException("sums of unfolded inputs are added to after they were closed");
        }
        if (!joint && layer.dataType().isPresent()) {
            perThread.computeIfAbsent(context.scratch(), s -> new Own()).add(tensors, samples);
            return;
        }
        try (Own own = new Own()) {
            own.add(tensors, samples);
            enter(batch, own.finished());
        }
    }

    private synchronized void enter(int batch, UnfoldedTotals own) {
        early.put(batch, own);
        for (UnfoldedTotals ready = early.remove(next); ready != null; ready = early.remove(next)) {
            next++;
            totals = totals.plus(ready);
        }
    }

    @Override
    public synchronized UnfoldedTotals totals() {
        perThread.values().forEach(own -> totals = totals.plus(own.finished()));
        closeOwn();
        early.values().forEach(own -> totals = totals.plus(own));
        early.clear();
        return totals;
    }

    private void closeOwn() {
        Resources all = new Resources();
        perThread.values().forEach(own -> all.add(own::close));
        perThread.clear();
        all.close();
    }

    @Override
    public void close() {
        closed = true;
        early.clear();
        totals = UnfoldedTotals.empty(unfolding);
        closeOwn();
    }
}
