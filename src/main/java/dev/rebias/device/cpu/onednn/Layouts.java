package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reorder_primitive_desc_create;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.memory.Address;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Brings tensors from one layout to another, and integers to floats, by oneDNN's reorders. */
public final class Layouts implements AutoCloseable {
    private static final int TILE = 1024;

    private final CpuContext context;
    private final Map<Reorder, Primitive> reorders = new ConcurrentHashMap<>();
    private final Map<Conversion, Primitive> conversions = new ConcurrentHashMap<>();

    private record Reorder(ElementType from, ElementType to, ShapeKey shape, Layout layout, Layout newLayout) {}

    private record Conversion(ElementType from, ElementType to, int elements) {}

    Layouts(CpuContext context) {
        this.context = context;
    }

    /** The tensor in that layout: a view where it lies so already, else a copy. The caller closes it. */
    public CpuTensor in(Layout layout, CpuTensor x) {
        long[] shape = x.shape();
        if (x.lies(layout)) {
            return x.reshape(layout, shape);
        }
        CpuTensor out = CpuTensor.allocate(context.memory(), x.type(), layout, shape);
        reorder(x, x.type(), layout, out.address());
        return out;
    }

    /**
     * The address of 8-bit integers as floats without their zero point, in that layout. It holds until this thread
     * expands another tensor.
     *
     * @param x UINT8 or INT8
     */
    public long expanded(CpuTensor x, Layout layout, long zero) {
        ThreadScratch scratch = context.scratch();
        if (!scratch.holds(x, zero)) {
            long elements = Shape.elements(x.shape());
            long to = scratch.expansion(elements * Float.BYTES);
            reorder(x, ElementType.FLOAT, layout, to);
            if (zero != 0) {
                shift(scratch, to, elements, -zero);
            }
            scratch.expanded(x, zero);
        }
        return scratch.expansionAddress();
    }

    /**
     * The address of a tensor's 8-bit integers in that layout. It holds until this thread asks for the next.
     *
     * @param x UINT8 or INT8
     */
    public long bytes(CpuTensor x, Layout layout) {
        if (x.lies(layout)) {
            return x.address();
        }
        long elements = Shape.elements(x.shape());
        long to = context.scratch().integers(elements);
        reorder(x, x.type(), layout, to);
        return to;
    }

    /**
     * Adds a number to floats. oneDNN's own zero points are not used: some of its reorders take them and leave them
     * out.
     */
    private static void shift(ThreadScratch scratch, long address, long elements, long by) {
        FloatBuffer values = floats(address, elements);
        float[] tile = scratch.tiles(1, TILE)[0];
        for (int at = 0; at < elements; at += TILE) {
            int n = (int) Math.min(TILE, elements - at);
            values.get(at, tile, 0, n);
            add(tile, (float) by, n);
            values.put(at, tile, 0, n);
        }
    }

    private static void add(float[] x, float by, int n) {
        for (int i = 0; i < n; i++) {
            x[i] += by;
        }
    }

    /** Floats that lie there. */
    public static FloatBuffer floats(long address, long elements) {
        return new Address()
                .at(address)
                .buffer(elements * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    private void reorder(CpuTensor x, ElementType type, Layout layout, long to) {
        long[] shape = x.shape();
        if (Shape.elements(shape) == 0) {
            return;
        }
        ThreadScratch scratch = context.scratch();
        scratch.stream(); // primitives are made for as many threads as will run them: one
        Reorder key = new Reorder(x.type(), type, new ShapeKey(shape), x.layout(), layout);
        reorders.computeIfAbsent(key, k -> reorder(x.type(), type, shape, x.layout(), layout))
                .execute(scratch, x.address(), to);
    }

    /** What turns that many elements in a row into ones of another type. */
    public Primitive conversion(ElementType from, ElementType to, int elements) {
        return conversions.computeIfAbsent(new Conversion(from, to, elements), k -> {
            context.scratch().stream();
            return reorder(from, to, new long[] {elements}, Layout.PLAIN, Layout.PLAIN);
        });
    }

    private static Primitive reorder(
            ElementType type, ElementType newType, long[] shape, Layout layout, Layout newLayout) {
        try (PrimitiveSpec spec = new PrimitiveSpec()) {
            dnnl_primitive_desc description = new dnnl_primitive_desc();
            OneDnn.check(
                    dnnl_reorder_primitive_desc_create(
                            description,
                            spec.strided(type, shape, layout.strides(shape)),
                            OneDnn.engine(),
                            spec.strided(newType, shape, newLayout.strides(shape)),
                            OneDnn.engine(),
                            spec.attributes()),
                    "dnnl_reorder_primitive_desc_create");
            return new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST);
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        reorders.values().forEach(r -> all.add(r::close));
        reorders.clear();
        conversions.values().forEach(c -> all.add(c::close));
        conversions.clear();
        all.close();
    }
}
