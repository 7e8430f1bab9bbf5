package dev.rebias.device.cuda;

import dev.rebias.device.ClassSums;
import dev.rebias.device.ClassTotals;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Taps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Class sums by {@code cuda-kernels/class_sums.cu}: totals stay on the card until the host asks for them. */
final class CudaClassSums implements ClassSums {
    static final String FILE = "class_sums.cu";
    private static final int DIMENSIONS = 3;
    private static final int WARPS = Launch.THREADS / 32;

    private final CudaContext context;
    private final LayerOp op;
    private final long[] weights;
    private final long zero;
    /** By the shape of the data of one entry of axis 0. */
    private final Map<long[], Form> forms = new TreeMap<>(Arrays::compare);

    /** Parameters as for {@link dev.rebias.device.Device#classSums}; a tensor tells its type itself. */
    CudaClassSums(CudaContext context, LayerOp op, long[] weights, long zero) {
        this.context = context;
        this.op = op;
        this.weights = weights.clone();
        this.zero = zero;
        context.kernels().expect(FILE);
    }

    /** Data of one shape: which elements are whose, and their totals on the card. */
    private final class Form {
        private final int channels;
        private final int combinations;
        private final int[] classes = new int[DIMENSIONS];
        private final int[] sizes = new int[DIMENSIONS];
        private final long[] strides = new long[DIMENSIONS];
        private final long channelStride;
        private final long entryStride;
        private final DeviceTensor members;
        private final CardTotals totals;

        /**
         * Of data.
         *
         * @param unit the shape of one entry of axis 0, or of all where samples lie side by side
         * @param side whether they do: [channels, samples]
         */
        Form(long[] unit, boolean side) {
            Taps taps = new Taps(op, weights, unit);
            int spatial = taps.dimensions();
            if (spatial > DIMENSIONS) {
                throw new IllegalStateException("a layer with " + spatial + " spatial dimensions");
            }
            combinations = taps.combinations();
            Arrays.fill(classes, 1);
            Arrays.fill(sizes, 1);
            long elements = Shape.elements(unit);
            entryStride = elements;
            if (spatial == 0) {
                channels = Math.toIntExact(side ? unit[0] : unit[unit.length - 1]);
                sizes[DIMENSIONS - 1] = Math.toIntExact(elements / channels);
                strides[DIMENSIONS - 1] = side ? 1 : channels;
                channelStride = side ? sizes[DIMENSIONS - 1] : 1;
            } else {
                channels = Math.toIntExact(unit[1]);
                channelStride = elements / channels;
                for (int i = 0; i < spatial; i++) {
                    int d = DIMENSIONS - spatial + i;
                    classes[d] = taps.kinds(i);
                    sizes[d] = Math.toIntExact(unit[i + 2]);
                    strides[d] = Shape.elements(unit, i + 3, unit.length);
                }
            }
            try (Partial made = new Partial()) {
                members = made.keep(context.upload(members(taps)));
                totals = made.keep(new CardTotals(context, (long) combinations * channels, "class sums"));
                made.complete();
            }
        }

        /** For each dimension where each class's indices begin, and the indices, class after class. */
        private HostTensor members(Taps taps) {
            int count = 0;
            for (int d = 0; d < DIMENSIONS; d++) {
                count += classes[d] + 1 + sizes[d];
            }
            HostTensor lists = HostTensor.zeros(ElementType.UINT8, (long) count * Integer.BYTES);
            ByteBuffer to = lists.bytes();
            int first = 0;
            for (int d = 0; d < DIMENSIONS; d++) {
                int dimension = d - (DIMENSIONS - taps.dimensions());
                int at = classes[d] + 1;
                for (int k = 0; k < classes[d]; k++) {
                    to.putInt((first + k) * Integer.BYTES, at);
                    for (int i = 0; i < sizes[d]; i++) {
                        if ((dimension < 0 ? 0 : taps.kind(dimension, i)) == k) {
                            to.putInt((first + at) * Integer.BYTES, i);
                            at++;
                        }
                    }
                }
                to.putInt((first + classes[d]) * Integer.BYTES, at);
                first += at;
            }
            return lists;
        }

        void add(DeviceTensor x, long newEntries, int newSamples) {
            int sums = combinations * channels;
            long warps = newEntries * sums;
            String kernel = "class_sums_" + x.type().name().toLowerCase(Locale.ROOT);
            try (MemoryPool.Block parts = context.pool().allocate(warps * Double.BYTES, "class sums of a batch")) {
                context.arguments()
                        .pointer(x.address())
                        .pointer(members.address())
                        .pointer(parts.address())
                        .int32(warps)
                        .int32(channels)
                        .window(classes, sizes, strides, channelStride, entryStride)
                        .int32(x.type() == ElementType.FLOAT ? 0 : zero)
                        .blocks(context.kernel(FILE, kernel), kernel, (warps + WARPS - 1) / WARPS);
                context.arguments()
                        .pointer(parts.address())
                        .pointer(totals.address())
                        .int64(newEntries)
                        .int32(sums)
                        .over(context.kernel(FILE, "class_sums_fold"), "class_sums_fold", sums);
            }
            totals.count(newEntries, newSamples);
        }

        double[][][] sums() {
            double[] flat = totals.values();
            double[][] sums = new double[combinations][];
            for (int k = 0; k < combinations; k++) {
                sums[k] = Arrays.copyOfRange(flat, k * channels, (k + 1) * channels);
            }
            return new double[][][] {sums};
        }

        void close() {
            Resources all = new Resources();
            all.add(members::close);
            all.add(totals::close);
            all.close();
        }
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        DeviceTensor x = (DeviceTensor) tensors.get(0);
        long[] data = x.shape();
        if (x.elements() == 0) {
            return;
        }
        boolean side = op instanceof Gemm g && g.transA();
        long[] unit = data.clone();
        if (!side) {
            unit[0] = 1;
        }
        forms.computeIfAbsent(unit, u -> new Form(u, side)).add(x, side ? 1 : data[0], samples);
    }

    @Override
    public void bring() {
        forms.values().forEach(f -> f.totals.bring());
    }

    @Override
    public ClassTotals totals() {
        bring();
        ClassTotals totals = new ClassTotals(op, weights);
        forms.forEach((unit, form) -> totals.add(unit, form.sums(), form.totals.units(), form.totals.samples()));
        return totals;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        forms.values().forEach(f -> all.add(f::close));
        forms.clear();
        all.close();
    }
}
