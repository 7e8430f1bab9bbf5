package dev.rebias.device.cpu;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reorder_primitive_desc_create;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Brings tensors from one layout to another, and integers to floats, by oneDNN's reorders. */
final class Layouts implements AutoCloseable {
    private static final int TILE = 1024;

    private final CpuContext context;
    private final Map<String, Primitive> reorders = new ConcurrentHashMap<>();

    Layouts(CpuContext context) {
        this.context = context;
    }

    /** The tensor in that layout: a view where it lies so already, else a copy. The caller closes it. */
    CpuTensor in(Layout layout, CpuTensor x) {
        long[] shape = x.shape();
        if (x.lies(layout)) {
            return x.reshape(layout, shape);
        }
        x.narrow();
        CpuTensor out = CpuTensor.allocate(context.memory(), x.type(), layout, shape);
        if (Shape.elements(shape) > 0) {
            reorder(x, x.type(), layout, out.address());
        }
        return out;
    }

    /**
     * The address of 8-bit integers as floats without their zero point, in that layout. It holds until this thread expands another tensor.
     *
     * @param x UINT8 or INT8
     */
    long expanded(CpuTensor x, Layout layout, long zero) {
        if (x.isWide() && x.zero() == zero && x.lies(layout)) {
            return x.address();
        }
        Lane lane = context.lane();
        if (!lane.holds(x, zero)) {
            x.narrow();
            long elements = Shape.elements(x.shape());
            long to = lane.expansion(elements * Float.BYTES);
            if (elements > 0) {
                reorder(x, ElementType.FLOAT, layout, to);
                shift(lane, to, elements, -zero);
            }
            lane.expanded(x, zero);
        }
        return lane.expansionAddress();
    }

    /** Adds a number to floats in memory. oneDNN's own zero points are not used: some of its reorders take them and leave them out. */
    private static void shift(Lane lane, long address, long elements, long by) {
        if (by == 0) {
            return;
        }
        FloatBuffer floats = new Address()
                .at(address)
                .buffer(elements * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        float[] tile = lane.tiles(1, TILE)[0];
        for (int at = 0; at < elements; at += TILE) {
            int n = (int) Math.min(TILE, elements - at);
            floats.get(at, tile, 0, n);
            ElementLoops.shift(tile, (float) by, n);
            floats.put(at, tile, 0, n);
        }
    }

    private void reorder(CpuTensor x, ElementType type, Layout layout, long to) {
        Lane lane = context.lane();
        lane.stream(); // primitives are made for as many threads as will run them: one
        long[] shape = x.shape();
        String key = x.type() + Shape.text(shape) + x.layout() + type + layout;
        Primitive primitive = reorders.computeIfAbsent(key, k -> {
            try (Recipe recipe = new Recipe()) {
                dnnl_primitive_desc description = new dnnl_primitive_desc();
                OneDnn.check(
                        dnnl_reorder_primitive_desc_create(
                                description,
                                recipe.strided(x.type(), shape, x.layout().strides(shape)),
                                OneDnn.engine(),
                                recipe.strided(type, shape, layout.strides(shape)),
                                OneDnn.engine(),
                                recipe.attributes()),
                        "dnnl_reorder_primitive_desc_create");
                return new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST);
            }
        });
        primitive.execute(lane, x.address(), to);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        reorders.values().forEach(r -> all.add(r::close));
        reorders.clear();
        all.close();
    }
}
