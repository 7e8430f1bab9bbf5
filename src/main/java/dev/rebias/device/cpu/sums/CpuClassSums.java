package dev.rebias.device.cpu.sums;

import dev.rebias.device.ClassSums;
import dev.rebias.device.ClassTotals;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.op.Gemm;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Taps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Sums of a layer's input by class of taps: one pass, channels last, that adds up rows of a {@linkplain Taps class} as
 * a whole. Sums of integers are exact in any order, so each thread adds up its own until they are asked for; of floats
 * a sample's sums are formed on their own and added to exact totals.
 */
public final class CpuClassSums implements ClassSums {
    private final CpuContext context;
    private final LayerOp op;
    private final long[] shape;
    private final Optional<ElementType> dataType;
    private final long zero;
    private final Map<ShapeKey, Rows> rows = new ConcurrentHashMap<>();
    /** What each thread has added up of integers; only that thread replaces its own. */
    private final Map<ThreadScratch, Integers> integers = new ConcurrentHashMap<>();

    private final ClassTotals totals;

    /**
     * No data.
     *
     * @param op the layer's
     * @param shape its weights'
     * @param dataType UINT8 or INT8 where the data are integers, else empty
     * @param zero their zero point, else 0
     */
    public CpuClassSums(CpuContext context, LayerOp op, long[] shape, Optional<ElementType> dataType, long zero) {
        this.context = context;
        this.op = op;
        this.shape = shape.clone();
        this.dataType = dataType;
        this.zero = zero;
        this.totals = new ClassTotals(op, shape);
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        CpuTensor given = (CpuTensor) tensors.get(0);
        long[] data = given.shape();
        if (op instanceof Gemm g && g.transA()) {
            addSideBySide(given, data, samples);
            return;
        }
        // Each entry of axis 0 is summed on its own.
        int entries = Math.toIntExact(data[0]);
        long[] unit = data.clone();
        unit[0] = 1;
        ShapeKey key = new ShapeKey(unit);
        Rows of = rows.computeIfAbsent(key, k -> new Rows(new Taps(op, shape, unit), unit));
        if (dataType.isPresent()) {
            own(key, of, unit).add(given, entries, samples);
            return;
        }
        double[][][] sums = new double[entries][][];
        try (Elements x = new Elements(context, given, of.layout(), zero)) {
            for (int n = 0; n < entries; n++) {
                sums[n] = of.sums();
                addEntry(x, of, n, sums[n]);
            }
        }
        synchronized (totals) {
            totals.add(unit, sums, entries, samples);
        }
    }

    /** The calling thread's sums: of one shape, for samples of one shape come one after the other. */
    private Integers own(ShapeKey key, Rows of, long[] unit) {
        ThreadScratch scratch = context.scratch();
        Integers own = integers.get(scratch);
        if (own == null || !own.key.equals(key)) {
            if (own != null) {
                synchronized (totals) {
                    own.passTo(totals);
                }
            }
            own = new Integers(key, of, unit);
            integers.put(scratch, own);
        }
        return own;
    }

    /** Data [channels, samples] are one piece. */
    private void addSideBySide(CpuTensor given, long[] data, int samples) {
        int channels = Math.toIntExact(data[0]);
        int columns = Math.toIntExact(data[1]);
        double[][] sums = new double[1][channels];
        float[] row = context.scratch().tiles(1, columns)[0];
        try (Elements x = new Elements(context, given, Layout.PLAIN, zero)) {
            for (int c = 0; c < channels; c++) {
                x.read(c * columns, row, columns);
                for (int i = 0; i < columns; i++) {
                    sums[0][c] += row[i];
                }
            }
        }
        synchronized (totals) {
            totals.add(data, new double[][][] {sums}, 1, samples);
        }
    }

    @Override
    public ClassTotals totals() {
        synchronized (totals) {
            integers.values().forEach(own -> own.passTo(totals));
            integers.clear();
            return totals;
        }
    }

    @Override
    public void close() {
        // Nothing but Java's own memory.
    }

    /** The rows of one entry of axis 0, the last spatial dimension's, and their classes. */
    private static final class Rows {
        private final Taps of;
        private final int channels;
        private final int width;
        private final int length;
        /** For each row its class. */
        private final int[] kinds;

        private final int rowKinds;
        private final int columnKinds;

        Rows(Taps of, long[] unit) {
            this.of = of;
            int spatial = of.dimensions();
            channels = Math.toIntExact(spatial == 0 ? unit[unit.length - 1] : unit[1]);
            width = spatial == 0 ? 1 : Math.toIntExact(unit[unit.length - 1]);
            length = width * channels;
            int elements = Math.toIntExact(Shape.elements(unit));
            kinds = new int[length == 0 ? 0 : elements / length];
            rowKinds = spatial == 0 ? 1 : of.combinations() / of.kinds(spatial - 1);
            columnKinds = of.combinations() / rowKinds;
            int[] index = new int[Math.max(0, spatial - 1)];
            for (int row = 0; row < kinds.length; row++) {
                for (int i = 0; i < index.length; i++) {
                    kinds[row] = kinds[row] * of.kinds(i) + of.kind(i, index[i]);
                }
                for (int i = index.length - 1; i >= 0 && ++index[i] == unit[i + 2]; i--) {
                    index[i] = 0;
                }
            }
        }

        Layout layout() {
            return of.dimensions() == 0 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        }

        /** Adds the sums of rows of one class to those of the combinations with the columns' classes. */
        void addTo(double[][] sums, int kind, double[] some) {
            for (int w = 0; w < width; w++) {
                double[] to = at(sums, kind, w);
                for (int c = 0; c < channels; c++) {
                    to[c] += some[w * channels + c];
                }
            }
        }

        /** Sums of nothing, [combinations of classes][channels]. */
        double[][] sums() {
            return new double[rowKinds * columnKinds][channels];
        }

        /** The sums to which a row's elements at an index of the last dimension belong. */
        double[] at(double[][] sums, int rowKind, int index) {
            return sums[rowKind * columnKinds + (of.dimensions() == 0 ? 0 : of.kind(of.dimensions() - 1, index))];
        }
    }

    /** The sums that one thread has made of integers of one shape. */
    private final class Integers {
        private final ShapeKey key;
        private final Rows of;
        private final long[] unit;
        private final double[][] sums;
        /** Of the rows of each class; none where rows do not consist of whole words. */
        private final ByteSums[] bytes;

        private long entries;
        private long samples;

        Integers(ShapeKey key, Rows of, long[] unit) {
            this.key = key;
            this.of = of;
            this.unit = unit;
            this.sums = of.sums();
            this.bytes = new ByteSums[of.length % Long.BYTES == 0 ? of.rowKinds : 0];
            Arrays.setAll(
                    bytes,
                    kind -> new ByteSums(dataType.orElseThrow(), zero, of.length, some -> of.addTo(sums, kind, some)));
        }

        void add(CpuTensor x, int itsEntries, int itsSamples) {
            if (bytes.length == 0) {
                try (Elements elements = new Elements(context, x, of.layout(), zero)) {
                    for (int n = 0; n < itsEntries; n++) {
                        addEntry(elements, of, n, sums);
                    }
                }
            } else {
                try (CpuTensor laid = context.layouts().in(of.layout(), x)) {
                    addBytes(laid, itsEntries);
                }
            }
            entries += itsEntries;
            samples += itsSamples;
        }

        /** Rows of one class that follow each other are added together. */
        private void addBytes(CpuTensor x, int itsEntries) {
            ThreadScratch scratch = context.scratch();
            LongBuffer words =
                    x.elements().duplicate().order(ByteOrder.nativeOrder()).asLongBuffer();
            int n = of.kinds.length;
            for (int row = 0; row < itsEntries * n; ) {
                int kind = of.kinds[row % n];
                int end = row + 1;
                while (end < itsEntries * n && of.kinds[end % n] == kind) {
                    end++;
                }
                bytes[kind].add(scratch, words, row, end - row);
                row = end;
            }
        }

        void passTo(ClassTotals all) {
            for (ByteSums kind : bytes) {
                kind.pass(context.scratch());
            }
            all.add(unit, new double[][][] {sums}, entries, samples);
        }
    }

    /** Adds the sums of one entry of axis 0. */
    private void addEntry(Elements x, Rows of, int entry, double[][] sums) {
        int length = of.length;
        float[][] tiles = context.scratch().tiles(1 + 2 * of.rowKinds, length);
        for (int k = 0; k < 2 * of.rowKinds; k++) {
            Arrays.fill(tiles[1 + k], 0, length, 0);
        }
        // Sums of integers below 2^8 need no more than a float, as long as they are few enough.
        boolean exact = dataType.isPresent() && of.kinds.length <= IntegerLayer.EXACT / 256;
        for (int r = 0; r < of.kinds.length; r++) {
            float[] high = tiles[1 + 2 * of.kinds[r]];
            x.read((entry * of.kinds.length + r) * length, tiles[0], length);
            if (exact) {
                ElementLoops.add(tiles[0], high, high, length);
            } else {
                Accumulation.add(tiles[0], high, tiles[2 + 2 * of.kinds[r]], length);
            }
        }
        for (int k = 0; k < of.rowKinds; k++) {
            float[] high = tiles[1 + 2 * k];
            float[] low = tiles[2 + 2 * k];
            for (int w = 0; w < of.width; w++) {
                double[] to = of.at(sums, k, w);
                for (int c = 0; c < of.channels; c++) {
                    to[c] += (double) high[w * of.channels + c] + low[w * of.channels + c];
                }
            }
        }
    }
}
