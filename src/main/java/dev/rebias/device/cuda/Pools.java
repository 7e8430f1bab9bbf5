package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Pooling;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** MaxPool and AveragePool over up to three dimensions: {@code cuda-kernels/pool.cu}. */
final class Pools {
    private static final int DIMENSIONS = 3;

    private Pools() {}

    static Optional<List<Tensor>> pool(OnnxOp op, Inputs inputs) {
        long[] in = inputs.shape(0);
        boolean indices = op.node().getOutputCount() > 1;
        if (in.length < 3 || in.length > DIMENSIONS + 2 || indices || !inputs.is(0, ElementType.FLOAT)) {
            return Optional.empty();
        }
        Pooling pooling = Pooling.of(op);
        long[] out = pooling.outputShape(in);
        CudaContext context = inputs.context();
        DeviceTensor x = inputs.device(0);
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            long elements = y.elements();
            if (elements > 0) {
                String kernel = pooling.maximum() ? "pool_max" : "pool_average";
                Launch arguments = context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(elements)
                        .struct(fields(pooling, in, out));
                if (!pooling.maximum()) {
                    arguments.int32(pooling.countPadding() ? 1 : 0);
                }
                arguments.over(context.kernel("pool.cu", kernel), kernel, elements);
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    /** The kernel's struct: seven values for each of three dimensions, those that are missing of size 1. */
    private static int[] fields(Pooling pooling, long[] in, long[] out) {
        Window window = pooling.window();
        int n = in.length - 2;
        int[] fields = new int[7 * DIMENSIONS];
        Arrays.fill(fields, 1);
        for (int d = 0; d < DIMENSIONS - n; d++) {
            fields[5 * DIMENSIONS + d] = 0;
        }
        for (int i = 0; i < n; i++) {
            long size = in[i + 2];
            long[] values = {
                size,
                out[i + 2],
                window.kernel().get(i),
                window.strides().get(i),
                window.dilations().get(i),
                pooling.begin(i, size),
                size + pooling.end(i, size)
            };
            for (int f = 0; f < values.length; f++) {
                fields[f * DIMENSIONS + DIMENSIONS - n + i] = Math.toIntExact(values[f]);
            }
        }
        return fields;
    }
}
