package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.dnnl_matmul_primitive_desc_create;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/**
 * Products of two matrices that are both data, by oneDNN: [rows, depth] x [depth, columns], row-major. One primitive
 * for every shape.
 */
public final class Products implements AutoCloseable {
    private final CpuContext context;
    private final Map<Product, Primitive> primitives = new ConcurrentHashMap<>();

    private record Product(ElementType left, boolean transposed, long rows, long depth, long columns) {}

    Products(CpuContext context) {
        this.context = context;
    }

    /**
     * The product of a matrix of 8-bit integers and one of INT8, as INT32.
     *
     * @param type of the left one: UINT8 or INT8
     * @param transposed whether the left one lies as [depth, rows]
     */
    public Primitive ofIntegers(ElementType type, boolean transposed, long rows, long depth, long columns) {
        return product(type, ElementType.INT8, ElementType.INT32, transposed, rows, depth, columns);
    }

    /** The same of two matrices of floats. */
    public Primitive ofFloats(boolean transposed, long rows, long depth, long columns) {
        return product(ElementType.FLOAT, ElementType.FLOAT, ElementType.FLOAT, transposed, rows, depth, columns);
    }

    private Primitive product(
            ElementType left,
            ElementType right,
            ElementType result,
            boolean transposed,
            long rows,
            long depth,
            long columns) {
        context.scratch().stream(); // primitives are made for as many threads as will run them: one
        return primitives.computeIfAbsent(new Product(left, transposed, rows, depth, columns), k -> {
            try (PrimitiveSpec spec = new PrimitiveSpec()) {
                dnnl_primitive_desc description = new dnnl_primitive_desc();
                long[] strides = transposed ? new long[] {1, rows} : new long[] {depth, 1};
                OneDnn.check(
                        dnnl_matmul_primitive_desc_create(
                                description,
                                OneDnn.engine(),
                                spec.strided(left, new long[] {rows, depth}, strides),
                                spec.plain(right, depth, columns),
                                null,
                                spec.plain(result, rows, columns),
                                spec.attributes()),
                        "dnnl_matmul_primitive_desc_create");
                return new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST);
            }
        });
    }

    @Override
    public void close() {
        Resources all = new Resources();
        primitives.values().forEach(p -> all.add(p::close));
        primitives.clear();
        all.close();
    }
}
