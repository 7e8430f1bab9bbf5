package dev.rebias.device.cpu.layer;

import static org.bytedeco.dnnl.global.dnnl.dnnl_matmul_primitive_desc_create;

import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.op.Gemm;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Gemm, and MatMul by a matrix: a product of matrices, of which the data's last dimension is summed over. */
final class PreparedProduct extends PreparedLayer {
    private final boolean transA;
    private final boolean transB;
    private final float alpha;

    PreparedProduct(CpuContext context, LayerOperands operands) {
        super(context, operands, Layout.PLAIN, Optional.empty());
        transA = operands.op() instanceof Gemm g && g.transA();
        transB = operands.op() instanceof Gemm g && g.transB();
        alpha = operands.op() instanceof Gemm g ? g.alpha() : 1;
    }

    @Override
    int rank(long[] output) {
        return 2;
    }

    @Override
    Optional<Float> factor() {
        return alpha == 1 ? Optional.empty() : Optional.of(alpha);
    }

    /** A transposed matrix of data has its samples side by side: it is one piece of work. */
    @Override
    long[] unit(long[] data) {
        return transA ? data : super.unit(data);
    }

    @Override
    dnnl_primitive_desc describe(PrimitiveSpec spec, Types types, long[] data, long[] output, boolean padded) {
        long depth = data[transA ? 0 : data.length - 1];
        long columns = output[output.length - 1];
        long rows = Shape.elements(output) / columns;
        dnnl_memory_desc source = transA
                ? spec.strided(types.data(), new long[] {rows, depth}, new long[] {1, rows})
                : spec.plain(types.data(), rows, depth);
        dnnl_primitive_desc description = new dnnl_primitive_desc();
        OneDnn.check(
                dnnl_matmul_primitive_desc_create(
                        description,
                        OneDnn.engine(),
                        source,
                        spec.any(types.weights(), depth, columns),
                        null,
                        spec.plain(ElementType.FLOAT, rows, columns),
                        spec.attributes()),
                "dnnl_matmul_primitive_desc_create");
        return description;
    }

    @Override
    Optional<Padding> padding(long[] data, long[] output) {
        return Optional.empty();
    }

    @Override
    int channelDimensions() {
        return 1 << 1;
    }

    @Override
    dnnl_memory_desc weights(PrimitiveSpec spec) {
        long[] shape = operands().weights().shape();
        return transB
                ? spec.strided(ElementType.FLOAT, new long[] {shape[1], shape[0]}, new long[] {1, shape[1]})
                : spec.plain(ElementType.FLOAT, shape);
    }
}
