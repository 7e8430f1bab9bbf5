package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Reduction;
import dev.rebias.op.Slicing;
import dev.rebias.op.Views;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/** The operations, besides layers and elementwise ones, that have a form for the card: one method each. */
final class NodeForms {
    /** A form: its output tensors, or nothing where these inputs or attributes are not among those it knows. */
    @FunctionalInterface
    interface Form {
        Optional<List<Tensor>> run(OnnxOp op, Inputs inputs);
    }

    private static final Map<String, Form> FORMS = new HashMap<>();

    static {
        Views.TYPES.forEach(t -> FORMS.put(t, NodeForms::view));
        Reduction.types().forEach(t -> FORMS.put(t, Reductions::reduce));
        PointwiseExpression.types().forEach(t -> FORMS.put(t, Pointwise::run));
        FORMS.put("Cast", NodeForms::cast);
        FORMS.put("Shape", NodeForms::shape);
        FORMS.put("Transpose", NodeForms::transpose);
        FORMS.put("Slice", NodeForms::slice);
        FORMS.put("Concat", NodeForms::concat);
        FORMS.put("Expand", NodeForms::expand);
        FORMS.put("Pad", NodeForms::pad);
        FORMS.put("MaxPool", Pools::pool);
        FORMS.put("AveragePool", Pools::pool);
        FORMS.put("Softmax", NodeForms::softmax);
        FORMS.put("LogSoftmax", NodeForms::softmax);
        FORMS.put("Resize", Resizes::resize);
        FORMS.put("Upsample", Resizes::resize);
        FORMS.put("MatMul", Products::multiply);
        FORMS.put("Gemm", Products::gemm);
        FORMS.put("Conv", Convolutions::convolve);
        FORMS.put("ConvTranspose", Convolutions::convolve);
        FORMS.put("Gather", Gathers::gather);
        FORMS.put("GatherElements", Gathers::gatherElements);
        FORMS.put("LayerNormalization", Normalizations::layers);
        FORMS.put("InstanceNormalization", Normalizations::instances);
        FORMS.put("GroupNormalization", Normalizations::groups);
        FORMS.put("ArgMax", Reductions::argument);
        FORMS.put("ArgMin", Reductions::argument);
        FORMS.put("Split", Moves::split);
        FORMS.put("Tile", Moves::tile);
        FORMS.put("DepthToSpace", Moves::depthToSpace);
        FORMS.put("SpaceToDepth", Moves::spaceToDepth);
        FORMS.put("Size", NodeForms::size);
    }

    private NodeForms() {}

    static Optional<Form> of(OnnxOp op) {
        return op.standard() ? Optional.ofNullable(FORMS.get(op.type())) : Optional.empty();
    }

    private static Optional<List<Tensor>> view(OnnxOp op, Inputs inputs) {
        long outputs =
                op.node().getOutputList().stream().filter(o -> !o.isEmpty()).count();
        if (!inputs.onDevice(0)
                || outputs != 1
                || (inputs.given(2)
                        && !inputs.parameter(2).filter(Views::isFalse).isPresent())
                || (inputs.given(1)
                        && inputs.integers(1).isEmpty()
                        && !op.type().equals("Dropout"))) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        return Optional.of(List.of(x.reshape(Views.shape(op, x.shape(), inputs.integers(1)))));
    }

    /** A Cast to the type that the data have, as exporters leave many, is a view. */
    private static Optional<List<Tensor>> cast(OnnxOp op, Inputs inputs) {
        DeviceTensor x = inputs.device(0);
        return Attributes.integer(op.node(), "to", 0) == x.type().onnxCode()
                ? Optional.of(List.of(x.reshape(x.shape())))
                : Pointwise.run(op, inputs);
    }

    private static Optional<List<Tensor>> size(OnnxOp op, Inputs inputs) {
        long elements = Shape.elements(inputs.shape(0));
        return Optional.of(List.of(HostResident.of(inputs.context().host(), HostTensor.of(new long[] {elements}))));
    }

    private static Optional<List<Tensor>> shape(OnnxOp op, Inputs inputs) {
        long[] shape = inputs.device(0).shape();
        int start = bound(Attributes.integer(op.node(), "start", 0), shape.length);
        int end = bound(Attributes.integer(op.node(), "end", shape.length), shape.length);
        long[] part = start < end ? Arrays.copyOfRange(shape, start, end) : new long[0];
        return Optional.of(List.of(HostResident.of(inputs.context().host(), HostTensor.of(part, part.length))));
    }

    private static int bound(long axis, int rank) {
        return (int) Math.max(0, Math.min(rank, axis < 0 ? axis + rank : axis));
    }

    private static Optional<List<Tensor>> transpose(OnnxOp op, Inputs inputs) {
        DeviceTensor x = inputs.device(0);
        long[] in = x.shape();
        int[] order = Attributes.integers(op.node(), "perm")
                .map(p -> p.stream().mapToInt(Math::toIntExact).toArray())
                .orElseGet(() -> IntStream.range(0, in.length)
                        .map(i -> in.length - 1 - i)
                        .toArray());
        long[] own = StridedIndex.dense(in);
        long[] out = Arrays.stream(order).mapToLong(i -> in[i]).toArray();
        long[] strides = Arrays.stream(order).mapToLong(i -> own[i]).toArray();
        return copied(inputs.context(), x, 0, strides, out);
    }

    private static Optional<List<Tensor>> slice(OnnxOp op, Inputs inputs) {
        if (!inputs.onDevice(0)
                || IntStream.range(1, inputs.count())
                        .anyMatch(i -> inputs.given(i) && inputs.integers(i).isEmpty())) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        Slicing slice = Slicing.of(
                op, x.shape(), inputs.integers(1), inputs.integers(2), inputs.integers(3), inputs.integers(4));
        long[] strides = StridedIndex.dense(x.shape());
        long offset = 0;
        for (int i = 0; i < strides.length; i++) {
            offset += slice.start()[i] * strides[i];
            strides[i] *= slice.step()[i];
        }
        return copied(inputs.context(), x, offset, strides, slice.output());
    }

    private static Optional<List<Tensor>> expand(OnnxOp op, Inputs inputs) {
        Optional<long[]> wanted = inputs.integers(1);
        if (!inputs.onDevice(0) || wanted.isEmpty()) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        long[] out = Shape.broadcast(x.shape(), wanted.get());
        return copied(inputs.context(), x, 0, Copies.broadcastStrides(x.shape(), out), out);
    }

    private static Optional<List<Tensor>> copied(
            CudaContext context, DeviceTensor x, long offset, long[] strides, long[] out) {
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, x.type(), out));
            if (!Copies.copy(context, x, offset, strides, y, 0, StridedIndex.dense(out), out)) {
                return Optional.empty();
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    private static Optional<List<Tensor>> concat(OnnxOp op, Inputs inputs) {
        if (!IntStream.range(0, inputs.count()).allMatch(i -> inputs.is(i, inputs.type(0)))) {
            return Optional.empty();
        }
        List<DeviceTensor> parts =
                IntStream.range(0, inputs.count()).mapToObj(inputs::device).toList();
        long[] out = parts.get(0).shape();
        int axis = (int) Attributes.integer(op.node(), "axis", 1);
        axis = axis < 0 ? axis + out.length : axis;
        out[axis] = 0;
        for (DeviceTensor part : parts) {
            out[axis] += part.shape()[axis];
        }
        long[] strides = StridedIndex.dense(out);
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(
                    DeviceTensor.allocate(inputs.context(), parts.get(0).type(), out));
            long offset = 0;
            for (DeviceTensor part : parts) {
                long[] shape = part.shape();
                if (!Copies.copy(inputs.context(), part, 0, StridedIndex.dense(shape), y, offset, strides, shape)) {
                    return Optional.empty();
                }
                offset += shape[axis] * strides[axis];
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    private static Optional<List<Tensor>> pad(OnnxOp op, Inputs inputs) {
        List<String> modes = List.of("constant", "edge", "reflect");
        int mode = modes.indexOf(Attributes.text(op.node(), "mode", "constant"));
        Optional<long[]> pads = Attributes.integers(op.node(), "pads")
                .map(l -> l.stream().mapToLong(Long::longValue).toArray())
                .or(() -> inputs.integers(1));
        Optional<HostTensor> value = inputs.parameter(2);
        if (mode < 0
                || pads.isEmpty()
                || inputs.given(3)
                || !inputs.is(0, ElementType.FLOAT)
                || (inputs.given(2) && value.isEmpty())
                || !inputs.onDevice(0)) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        long[] out = x.shape();
        int rank = out.length;
        for (int i = 0; i < rank; i++) {
            out[i] += pads.get()[i] + pads.get()[rank + i];
        }
        float constant = value.map(v -> v.floats().get(0)).orElse(Attributes.real(op.node(), "value", 0));
        return Copies.pad(inputs.context(), x, out, Arrays.copyOf(pads.get(), rank), mode, constant)
                .map(List::of);
    }

    private static Optional<List<Tensor>> softmax(OnnxOp op, Inputs inputs) {
        if (!inputs.is(0, ElementType.FLOAT)) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        long[] shape = x.shape();
        int logarithm = op.type().equals("LogSoftmax") ? 1 : 0;
        boolean flattened = op.opset() < 13;
        int axis = (int) Attributes.integer(op.node(), "axis", flattened ? 1 : -1);
        axis = axis < 0 ? axis + shape.length : axis;
        // Before operator set 13 everything from the axis on is one row.
        long length = flattened ? Shape.elements(shape, axis, shape.length) : shape[axis];
        long inner = flattened ? 1 : Shape.elements(shape, axis + 1, shape.length);
        CudaContext context = inputs.context();
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, shape));
            if (y.elements() > 0) {
                long rows = y.elements() / length;
                Launch arguments = context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(rows)
                        .int64(length);
                if (inner == 1) {
                    arguments
                            .int32(logarithm)
                            .over(context.kernel("softmax.cu", "softmax_rows"), "softmax_rows", 32 * rows);
                } else {
                    arguments
                            .int64(inner)
                            .int32(logarithm)
                            .over(context.kernel("softmax.cu", "softmax_columns"), "softmax_columns", rows);
                }
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }
}
