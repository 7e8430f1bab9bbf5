package dev.rebias.device.cpu;

import dev.rebias.device.ClassSums;
import dev.rebias.device.ClassTotals;
import dev.rebias.device.Tensor;
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
 * a whole. Sums of bytes are exact, so a batch is added up as one; of floats a sample's sums are formed on their own
 * and added to exact totals.
 */
final class CpuClassSums implements ClassSums {
    private final CpuContext context;
    private final LayerOp op;
    private final long[] shape;
    private final Optional<ElementType> dataType;
    private final long zero;
    private final Map<ShapeKey, Taps> taps = new ConcurrentHashMap<>();
    private final ClassTotals totals;

    /**
     * No data.
     *
     * @param op the layer's
     * @param shape its weights'
     * @param dataType UINT8 or INT8 where the data are integers, else empty
     * @param zero their zero point, else 0
     */
    CpuClassSums(CpuContext context, LayerOp op, long[] shape, Optional<ElementType> dataType, long zero) {
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
        boolean side = op instanceof Gemm g && g.transA();
        // Each entry of axis 0 is summed on its own; data that have their samples side by side are one piece.
        long[] unit = data.clone();
        if (!side) {
            unit[0] = 1;
        }
        Taps of = taps.computeIfAbsent(new ShapeKey(unit), k -> new Taps(op, shape, unit));
        int entries = side ? 1 : Math.toIntExact(data[0]);
        Layout layout = of.dimensions() == 0 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        Rows rows = new Rows(of, unit);
        double[][][] sums;
        if (!side && dataType.isPresent() && rows.length % Long.BYTES == 0) {
            try (CpuTensor laid = context.layouts().in(layout, given)) {
                sums = new double[][][] {bytes(laid, rows, entries)};
            }
        } else {
            sums = new double[entries][][];
            try (Elements x = new Elements(context, given, layout, zero)) {
                for (int n = 0; n < entries; n++) {
                    sums[n] = side ? side(x, data) : sums(x, rows, n);
                }
            }
        }
        synchronized (totals) {
            totals.add(unit, sums, entries, samples);
        }
    }

    @Override
    public ClassTotals totals() {
        return totals;
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

        double[][] sums() {
            return new double[rowKinds * columnKinds][channels];
        }

        /** The sums to which a row's elements at an index of the last dimension belong. */
        double[] at(double[][] sums, int rowKind, int index) {
            return sums[rowKind * columnKinds + (of.dimensions() == 0 ? 0 : of.kind(of.dimensions() - 1, index))];
        }
    }

    /** The sums of all entries of axis 0. */
    private double[][] bytes(CpuTensor x, Rows rows, int entries) {
        LongBuffer words =
                x.elements().duplicate().order(ByteOrder.nativeOrder()).asLongBuffer();
        ByteSums[] kinds = new ByteSums[rows.rowKinds];
        Arrays.setAll(kinds, k -> new ByteSums(context.scratch(), x.type(), zero, rows.length));
        for (int entry = 0; entry < entries; entry++) {
            for (int r = 0; r < rows.kinds.length; r++) {
                kinds[rows.kinds[r]].add(words, entry * rows.kinds.length + r);
            }
        }
        double[][] sums = rows.sums();
        for (int kind = 0; kind < kinds.length; kind++) {
            double[] own = kinds[kind].take();
            for (int w = 0; w < rows.width; w++) {
                double[] to = rows.at(sums, kind, w);
                for (int c = 0; c < rows.channels; c++) {
                    to[c] += own[w * rows.channels + c];
                }
            }
        }
        return sums;
    }

    /** The sums of one entry of axis 0. */
    private double[][] sums(Elements x, Rows rows, int entry) {
        int length = rows.length;
        float[][] tiles = context.scratch().tiles(1 + 2 * rows.rowKinds, length);
        for (int k = 0; k < 2 * rows.rowKinds; k++) {
            Arrays.fill(tiles[1 + k], 0, length, 0);
        }
        // Sums of integers below 2^8 need no more than a float, as long as they are few enough.
        boolean exact = dataType.isPresent() && rows.kinds.length <= IntegerLayer.EXACT / 256;
        for (int r = 0; r < rows.kinds.length; r++) {
            float[] high = tiles[1 + 2 * rows.kinds[r]];
            x.read((entry * rows.kinds.length + r) * length, tiles[0], length);
            if (exact) {
                ElementLoops.add(tiles[0], high, high, length);
            } else {
                Accumulation.add(tiles[0], high, tiles[2 + 2 * rows.kinds[r]], length);
            }
        }
        double[][] sums = rows.sums();
        for (int k = 0; k < rows.rowKinds; k++) {
            float[] high = tiles[1 + 2 * k];
            float[] low = tiles[2 + 2 * k];
            for (int w = 0; w < rows.width; w++) {
                double[] to = rows.at(sums, k, w);
                for (int c = 0; c < rows.channels; c++) {
                    to[c] += (double) high[w * rows.channels + c] + low[w * rows.channels + c];
                }
            }
        }
        return sums;
    }

    /** The sums of data [channels, samples]. */
    private double[][] side(Elements x, long[] data) {
        int channels = Math.toIntExact(data[0]);
        int columns = Math.toIntExact(data[1]);
        double[][] sums = new double[1][channels];
        float[] row = context.scratch().tiles(1, columns)[0];
        for (int c = 0; c < channels; c++) {
            x.read(c * columns, row, columns);
            for (int i = 0; i < columns; i++) {
                sums[0][c] += row[i];
            }
        }
        return sums;
    }
}
