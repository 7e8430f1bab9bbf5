package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** Single pointwise nodes of any types, each in a kernel of its own: {@code cuda-kernels/pointwise.cuh}. */
final class Pointwise {
    /** What a launch's arguments have room for. */
    private static final int MOST_INPUTS = 12;

    private Pointwise() {}

    /** How an input is read: by the output's index, one value for all, or by a strided index. */
    private record Read(int input, String place, Optional<StridedIndex> index) {}

    static Optional<List<Tensor>> run(OnnxOp op, Inputs inputs) {
        List<Optional<ElementType>> types = IntStream.range(0, inputs.count())
                .mapToObj(i -> inputs.given(i) ? Optional.of(inputs.type(i)) : Optional.<ElementType>empty())
                .toList();
        Optional<PointwiseExpression> expression = PointwiseExpression.of(op, types);
        if (expression.isEmpty() || inputs.count() > MOST_INPUTS) {
            return Optional.empty();
        }
        PointwiseExpression e = expression.get();
        List<Integer> used = IntStream.range(0, inputs.count())
                .filter(i -> inputs.given(i) && e.code().contains("x" + i))
                .boxed()
                .toList();
        long[] out = {};
        for (int i : used) {
            out = Shape.broadcast(out, aligned(e, i, inputs.shape(i), inputs.shape(0)));
        }
        List<Read> reads = new ArrayList<>();
        for (int i : used) {
            Optional<Read> read = read(i, aligned(e, i, inputs.shape(i), inputs.shape(0)), out);
            if (read.isEmpty()) {
                return Optional.empty();
            }
            reads.add(read.get());
        }
        List<DeviceTensor> tensors =
                reads.stream().map(r -> inputs.device(r.input())).toList();
        return Optional.of(List.of(launch(inputs.context(), op.type(), e, reads, tensors, out)));
    }

    /** Data [N, channels, ..] with a vector [channels] added. */
    static DeviceTensor addAlongChannels(CudaContext context, DeviceTensor x, DeviceTensor vector) {
        PointwiseExpression sum = new PointwiseExpression("x0 + x1", ElementType.FLOAT, List.of(), OptionalInt.of(1));
        long[] out = x.shape();
        Read second = read(1, aligned(sum, 1, vector.shape(), out), out).orElseThrow();
        Read first = read(0, out, out).orElseThrow();
        return launch(context, "Add", sum, List.of(first, second), List.of(x, vector), out);
    }

    /** The shape with which an input takes part in broadcasting. */
    private static long[] aligned(PointwiseExpression e, int input, long[] shape, long[] data) {
        if (input == 0 || shape.length != 1 || e.axis().isEmpty() || shape[0] == 1) {
            return shape;
        }
        int axis = e.axis().getAsInt();
        long[] aligned = new long[data.length];
        Arrays.fill(aligned, 1);
        aligned[axis < 0 ? axis + data.length : axis] = shape[0];
        return aligned;
    }

    private static Optional<Read> read(int input, long[] shape, long[] out) {
        if (Arrays.equals(shape, out)) {
            return Optional.of(new Read(input, "i", Optional.empty()));
        }
        if (Shape.elements(shape) == 1) {
            return Optional.of(new Read(input, "0", Optional.empty()));
        }
        return StridedIndex.of(out, Copies.broadcastStrides(shape, out))
                .map(w -> new Read(input, "offset(index" + input + ", i)", Optional.of(w)));
    }

    private static DeviceTensor launch(
            CudaContext context,
            String title,
            PointwiseExpression e,
            List<Read> reads,
            List<DeviceTensor> tensors,
            long[] out) {
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, e.type(), out));
            long n = y.elements();
            if (n > 0) {
                String source = source(title, e, reads, tensors);
                // Addresses first: one may have to wait for its upload.
                long[] addresses =
                        tensors.stream().mapToLong(DeviceTensor::address).toArray();
                Launch arguments = context.arguments().int64(n);
                for (int i = 0; i < addresses.length; i++) {
                    arguments.pointer(addresses[i]);
                    reads.get(i).index().ifPresent(arguments::index);
                }
                e.constants().forEach(arguments::float32);
                arguments
                        .pointer(y.address())
                        .over(context.kernels().elementwise(title, source), "pointwise " + title, n);
            }
            made.complete();
            return y;
        }
    }

    private static String source(String title, PointwiseExpression e, List<Read> reads, List<DeviceTensor> tensors) {
        StringBuilder parameters = new StringBuilder("Index n");
        StringBuilder body = new StringBuilder();
        for (int i = 0; i < reads.size(); i++) {
            Read r = reads.get(i);
            String type = PointwiseExpression.TYPES.get(tensors.get(i).type());
            parameters.append(String.format(", const %s* __restrict__ p%d", type, r.input()));
            r.index().ifPresent(w -> parameters.append(", StridedIndex index").append(r.input()));
            body.append(String.format("    %s x%d = p%d[%s];%n", type, r.input(), r.input(), r.place()));
        }
        for (int c = 0; c < e.constants().size(); c++) {
            parameters.append(", float c").append(c);
        }
        String type = PointwiseExpression.TYPES.get(e.type());
        return "// " + title + "\ntypedef long long Index;\n#include \"pointwise.cuh\"\n\n"
                + "extern \"C\" __global__ void __launch_bounds__(256) elementwise(" + parameters + ", " + type
                + "* __restrict__ y) {\n"
                + "    Index i = (Index)blockIdx.x * 256 + (Index)threadIdx.x;\n"
                + "    if (i >= n) return;\n"
                + body
                + "    y[i] = (" + type + ")(" + e.code() + ");\n}\n";
    }
}
