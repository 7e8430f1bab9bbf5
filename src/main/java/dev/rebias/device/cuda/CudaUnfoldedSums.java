package dev.rebias.device.cuda;

import dev.rebias.device.ErrorTotals;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Unfolding;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Second moments of a layer's unfolded input by {@code cuda-kernels/unfolded_sums.cu}: nothing is unfolded in memory,
 * and the sums stay on the card until the host asks for them. What the float layer's weights make of the differences of
 * the two inputs is computed by the layer's own operation.
 */
final class CudaUnfoldedSums implements UnfoldedSums {
    static final String FILE = "unfolded_sums.cu";
    /** Rows up to this length are worked on in tiles of so many elements, others in tiles of {@link #LARGE_TILE}. */
    private static final int SMALL_TILE = 16;

    private static final int LARGE_TILE = 64;
    /** As many blocks keep a large card busy. */
    private static final int BLOCKS = 256;
    /** More rows than these would overflow an int in the kernel. */
    private static final long MOST_ROWS = Integer.MAX_VALUE - 1024L;

    private final CudaContext context;
    private final WeightError layer;
    private final Unfolding unfolding;
    private final int tile;
    private final Products products;
    private final Optional<Joint> joint;
    /** Which place of the data each tap meets at each position, by the shape of an entry of axis 0. */
    private final Map<long[], Source> sources = new TreeMap<>(Arrays::compare);

    private final Resources owned = new Resources();
    private long count;
    private long samples;
    private boolean closed;

    /** Parameters as for {@link dev.rebias.device.Device#unfoldedSums}. */
    CudaUnfoldedSums(CudaContext context, WeightError layer, boolean joint) {
        this.context = context;
        this.layer = layer;
        this.unfolding = Unfolding.of(layer.op(), layer.shape()).orElseThrow();
        this.tile = unfolding.length() <= SMALL_TILE ? SMALL_TILE : LARGE_TILE;
        context.kernels().expect(FILE);
        try (Partial made = new Partial()) {
            this.products = made.keep(new Products(true));
            this.joint = joint ? Optional.of(made.keep(new Joint())) : Optional.empty();
            made.complete();
        }
        owned.add(products::close);
        this.joint.ifPresent(j -> owned.add(j::close));
    }

    /**
     * Where rows come from.
     *
     * @param places on the card; none where each position meets the data's of the same number
     */
    private record Source(int positions, Optional<DeviceTensor> places) {}

    /** Sums on the card: [slices, groups, length + 1, length], the products, then sums. */
    private final class Products implements AutoCloseable {
        private final boolean symmetric;
        private final long slices;
        /** Large: there once something has been added. */
        private Optional<MemoryPool.Block> sums = Optional.empty();

        Products(boolean symmetric) {
            this.symmetric = symmetric;
            this.slices = Math.max(1, BLOCKS / tiles());
        }

        private long address() {
            if (sums.isEmpty()) {
                sums = Optional.of(context.pool().allocate(slices * bytes(), "products of unfolded inputs"));
                context.clear(sums.get().address(), slices * bytes());
            }
            return sums.get().address();
        }

        /** How many tiles are computed. */
        private long tiles() {
            long side = (unfolding.length() + tile - 1L) / tile;
            return unfolding.groups() * (symmetric ? side * (side + 1) / 2 : side * side);
        }

        private long elements() {
            return (long) unfolding.groups() * (unfolding.length() + 1) * unfolding.length();
        }

        private long bytes() {
            return elements() * Double.BYTES;
        }

        void add(DeviceTensor left, DeviceTensor right) {
            long[] shape = left.shape();
            Source source = source(shape);
            boolean spatial = layer.shape().length > 2;
            long entry = Shape.elements(shape, 1, shape.length);
            long size = spatial ? Shape.elements(shape, 2, shape.length) : 1;
            String kernel = "unfolded_products_" + tile;
            context.arguments()
                    .longs(values(left))
                    .longs(values(right))
                    .pointer(source.places().map(DeviceTensor::address).orElse(0L))
                    .pointer(address())
                    .longs(
                            unfolding.length(),
                            unfolding.inputs(),
                            unfolding.taps(),
                            source.positions(),
                            rows(shape),
                            slices,
                            entry,
                            size,
                            spatial ? 1 : unfolding.inputs())
                    .int32(unfolding.groups())
                    .int32(symmetric ? 1 : 0)
                    .blocks(context.kernel(FILE, kernel), kernel, tiles() * slices);
        }

        /** Reads for each group the products, both halves, and the sums. */
        void read(double[][] to, double[][] sumsOf) {
            if (sums.isEmpty()) {
                return;
            }
            if (slices > 1) {
                context.arguments()
                        .pointer(address())
                        .int64(elements())
                        .int32(slices)
                        .over(context.kernel(FILE, "unfolded_fold"), "unfolded_fold", elements());
            }
            int n = unfolding.length();
            try (CudaContext.Returned returned = context.bring(address(), bytes())) {
                DoubleBuffer from = returned.get().asDoubleBuffer();
                for (int g = 0; g < to.length; g++) {
                    from.get(to[g]);
                    from.get(sumsOf[g]);
                    for (int i = 0; symmetric && i < n; i++) {
                        for (int j = 0; j < i; j++) {
                            to[g][i * n + j] = to[g][j * n + i];
                        }
                    }
                }
            }
        }

        @Override
        public void close() {
            sums.ifPresent(MemoryPool.Block::close);
            sums = Optional.empty();
        }
    }

    /** What belongs to the float layer's own input: products with the differences, and outputs for these. */
    private final class Joint implements AutoCloseable {
        private final Resources own = new Resources();
        private final Products crossed;
        private final PreparedOp outputs;
        private final CudaErrorSums squares;

        Joint() {
            LayerOp op = layer.op() instanceof Gemm g ? new Gemm(1, g.transA(), g.transB()) : layer.op();
            HostTensor weights = HostTensor.zeros(ElementType.FLOAT, layer.shape());
            for (int i = 0; i < layer.reference().length; i++) {
                weights.floats().put(i, (float) (layer.reference()[i] / layer.scale()));
            }
            try (Partial made = new Partial()) {
                crossed = made.keep(new Products(false));
                outputs = made.keep(CudaDevice.sum(context, op, weights, false));
                squares = made.keep(new CudaErrorSums(context, op, unfolding.channels(), false, false));
                made.complete();
            }
            own.add(crossed::close);
            own.add(outputs::close);
            own.add(squares::close);
        }

        void add(DeviceTensor x, DeviceTensor q, int itsSamples) {
            try (DeviceTensor v = DeviceTensor.allocate(context, ElementType.FLOAT, q.shape())) {
                context.arguments()
                        .pointer(x.address())
                        .longs(values(q))
                        .pointer(v.address())
                        .int64(v.elements())
                        .float32((float) layer.scale())
                        .over(context.kernel(FILE, "unfolded_difference"), "unfolded_difference", v.elements());
                crossed.add(q, v);
                List<Tensor> u = outputs.run(List.of(v));
                try {
                    squares.add(List.of(u.get(0), u.get(0)), itsSamples);
                } finally {
                    u.forEach(Tensor::close);
                }
            }
        }

        @Override
        public void close() {
            own.close();
        }
    }

    /** A tensor as the kernels' {@code struct Elements}. */
    private long[] values(DeviceTensor tensor) {
        return switch (tensor.type()) {
            case FLOAT -> new long[] {tensor.address(), 0, 0};
            case UINT8 -> new long[] {tensor.address(), 1, layer.zero()};
            case INT8 -> new long[] {tensor.address(), 2, layer.zero()};
            default -> throw new IllegalArgumentException("a layer's input of type " + tensor.type());
        };
    }

    private Source source(long[] shape) {
        long[] unit = shape.clone();
        unit[0] = 1;
        return sources.computeIfAbsent(unit, u -> {
            Unfolding.Places places = unfolding.places(u);
            if (places.sources().length == 0) {
                return new Source(places.positions(), Optional.empty());
            }
            HostTensor lists = HostTensor.zeros(ElementType.UINT8, (long) places.sources().length * Integer.BYTES);
            lists.bytes().asIntBuffer().put(places.sources());
            DeviceTensor sent = context.upload(lists);
            owned.add(sent::close);
            return new Source(places.positions(), Optional.of(sent));
        });
    }

    private long rows(long[] shape) {
        long rows = shape[0] * source(shape).positions();
        if (rows > MOST_ROWS) {
            throw new UnsupportedException("weights cannot be chosen anew from " + rows
                    + " output positions of a batch at once: use a smaller `batchSize`");
        }
        return rows;
    }

    @Override
    public void add(List<Tensor> tensors, int batch, int itsSamples) {
        if (closed) {
            throw new IllegalStateException("sums of unfolded inputs are added to after they were closed");
        }
        DeviceTensor q = (DeviceTensor) tensors.get(joint.isPresent() ? 1 : 0);
        if (q.elements() == 0) {
            return;
        }
        products.add(q, q);
        joint.ifPresent(j -> j.add((DeviceTensor) tensors.get(0), q, itsSamples));
        count += rows(q.shape());
        samples += itsSamples;
    }

    @Override
    public UnfoldedTotals totals() {
        UnfoldedTotals none = UnfoldedTotals.none(unfolding, joint.isPresent());
        products.read(none.products(), none.sums());
        joint.ifPresent(j -> {
            j.crossed.read(none.crossed(), none.differences());
            ErrorTotals outputs = j.squares.totals();
            for (int c = 0; c < unfolding.channels(); c++) {
                none.references()[c] = outputs.sum(0, c);
                none.squares()[c] = outputs.sum(1, c);
            }
        });
        return new UnfoldedTotals(
                unfolding,
                none.sums(),
                none.products(),
                none.differences(),
                none.crossed(),
                none.references(),
                none.squares(),
                count,
                samples);
    }

    @Override
    public void close() {
        closed = true;
        owned.close();
        sources.clear();
    }
}
