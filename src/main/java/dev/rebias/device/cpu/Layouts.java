package dev.rebias.device.cpu;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reorder_primitive_desc_create;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.javacpp.IntPointer;

/** Brings tensors from one layout to another, and integers to floats, by oneDNN's reorders. */
final class Layouts implements AutoCloseable {
    private final CpuContext context;
    private final Map<String, Primitive> reorders = new ConcurrentHashMap<>();
    private final Map<Long, IntPointer> zeros = new ConcurrentHashMap<>();

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
            reorder(x, x.type(), layout, 0, out.address());
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
                reorder(x, ElementType.FLOAT, layout, zero, to);
            }
            lane.expanded(x, zero);
        }
        return lane.expansionAddress();
    }

    private void reorder(CpuTensor x, ElementType type, Layout layout, long zero, long to) {
        Lane lane = context.lane();
        lane.stream(); // primitives are made for as many threads as will run them: one
        long[] shape = x.shape();
        String key = x.type() + Shape.text(shape) + x.layout() + type + layout + (zero == 0);
        Primitive primitive = reorders.computeIfAbsent(key, k -> {
            try (Recipe recipe = new Recipe()) {
                int argument = zero == 0 ? 0 : recipe.zeroPoint();
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
                return zero == 0
                        ? new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST)
                        : new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST, argument);
            }
        });
        if (zero == 0) {
            primitive.execute(lane, x.address(), to);
        } else {
            primitive.execute(
                    lane,
                    x.address(),
                    to,
                    zeros.computeIfAbsent(zero, z -> new IntPointer(new int[] {Math.toIntExact(z)}))
                            .address());
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        reorders.values().forEach(r -> all.add(r::close));
        zeros.values().forEach(z -> all.add(z::close));
        reorders.clear();
        zeros.clear();
        all.close();
    }
}
