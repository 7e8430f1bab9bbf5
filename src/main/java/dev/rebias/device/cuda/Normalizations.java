package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Tensor;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** LayerNormalization, InstanceNormalization and GroupNormalization: {@code cuda-kernels/normalize.cu}. */
final class Normalizations {
    /** Which channel's scale and shift an element takes, as the kernel has it. */
    private record Channels(long rowStep, long run, long channels) {}

    private Normalizations() {}

    /** Of everything from an axis on; outputs the mean and 1 / deviation of every row where the node names them. */
    static Optional<List<Tensor>> layers(OnnxOp op, Inputs inputs) {
        if (!areFloats(inputs, 2)) {
            return Optional.empty();
        }
        NodeProto node = op.node();
        long[] shape = inputs.shape(0);
        int axis = Math.toIntExact(Attributes.integer(node, "axis", -1));
        axis = axis < 0 ? axis + shape.length : axis;
        long[] normal = Arrays.copyOfRange(shape, axis, shape.length);
        long length = Shape.elements(normal);
        long[] rows = shape.clone();
        Arrays.fill(rows, axis, rows.length, 1);
        boolean[] wanted = new boolean[2];
        for (int i = 0; i < wanted.length; i++) {
            wanted[i] = node.getOutputCount() > i + 1 && !node.getOutput(i + 1).isEmpty();
        }
        CudaContext context = inputs.context();
        try (Partial made = new Partial();
                Partial temporary = new Partial()) {
            Optional<DeviceTensor> scale = spread(context, inputs.device(1), normal, temporary);
            Optional<DeviceTensor> shift =
                    inputs.given(2) ? spread(context, inputs.device(2), normal, temporary) : Optional.empty();
            if (scale.isEmpty() || inputs.given(2) != shift.isPresent()) {
                return Optional.empty();
            }
            List<Tensor> outputs = new ArrayList<>();
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, shape));
            outputs.add(y);
            long[] statistics = new long[wanted.length];
            for (int i = 0; i < wanted.length; i++) {
                if (wanted[i]) {
                    DeviceTensor s = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, rows));
                    outputs.add(s);
                    statistics[i] = s.address();
                }
            }
            launch(
                    inputs,
                    y,
                    length,
                    scale.get(),
                    shift,
                    statistics,
                    new Channels(0, 1, length),
                    Attributes.real(node, "epsilon", 1e-5f));
            made.complete();
            return Optional.of(outputs);
        }
    }

    /** Of every channel of every sample. */
    static Optional<List<Tensor>> instances(OnnxOp op, Inputs inputs) {
        long[] shape = inputs.shape(0);
        if (!areFloats(inputs, 3) || shape.length < 2 || inputs.shape(1).length != 1) {
            return Optional.empty();
        }
        long length = Shape.elements(shape, 2, shape.length);
        return alike(op, inputs, length, new Channels(1, length, shape[1]));
    }

    /**
     * Of groups of channels of every sample, with a scale and a shift per channel (from operator set 21 on; before, per
     * group).
     */
    static Optional<List<Tensor>> groups(OnnxOp op, Inputs inputs) {
        long[] shape = inputs.shape(0);
        long groups = Attributes.integer(op.node(), "num_groups", 0);
        if (!areFloats(inputs, 3)
                || shape.length < 2
                || groups < 1
                || shape[1] % groups != 0
                || op.opset() < 21
                || inputs.shape(1).length != 1
                || inputs.shape(1)[0] != shape[1]) {
            return Optional.empty();
        }
        long run = Shape.elements(shape, 2, shape.length);
        long together = shape[1] / groups;
        return alike(op, inputs, together * run, new Channels(together, run, shape[1]));
    }

    private static Optional<List<Tensor>> alike(OnnxOp op, Inputs inputs, long length, Channels channels) {
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(inputs.context(), ElementType.FLOAT, inputs.shape(0)));
            DeviceTensor scale = inputs.device(1);
            Optional<DeviceTensor> shift = Optional.of(inputs.device(2));
            float epsilon = Attributes.real(op.node(), "epsilon", 1e-5f);
            launch(inputs, y, length, scale, shift, new long[2], channels, epsilon);
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    private static boolean areFloats(Inputs inputs, int required) {
        for (int i = 0; i < 3; i++) {
            if (inputs.given(i) ? !inputs.is(i, ElementType.FLOAT) : i < required) {
                return false;
            }
        }
        return true;
    }

    /** A scale or shift in every element of what is normalised. */
    private static Optional<DeviceTensor> spread(
            CudaContext context, DeviceTensor from, long[] normal, Partial temporary) {
        if (Arrays.equals(from.shape(), normal)) {
            return Optional.of(from);
        }
        if (!Arrays.equals(Shape.broadcast(from.shape(), normal), normal)) {
            return Optional.empty();
        }
        DeviceTensor to = temporary.keep(DeviceTensor.allocate(context, ElementType.FLOAT, normal));
        long[] strides = Copies.broadcastStrides(from.shape(), normal);
        return Copies.copy(context, from, 0, strides, to, 0, StridedIndex.dense(normal), normal)
                ? Optional.of(to)
                : Optional.empty();
    }

    private static void launch(
            Inputs inputs,
            DeviceTensor y,
            long length,
            DeviceTensor scale,
            Optional<DeviceTensor> shift,
            long[] statistics,
            Channels channels,
            float epsilon) {
        if (y.elements() == 0) {
            return;
        }
        CudaContext context = inputs.context();
        long x = inputs.device(0).address();
        long a = scale.address();
        long b = shift.map(DeviceTensor::address).orElse(0L);
        context.arguments()
                .pointer(x)
                .pointer(y.address())
                .int64(length)
                .pointer(a)
                .pointer(b)
                .pointer(statistics[0])
                .pointer(statistics[1])
                .longs(channels.rowStep(), channels.run(), channels.channels())
                .float32(epsilon)
                .blocks(context.kernel("normalize.cu", "normalize"), "normalize", y.elements() / length);
    }
}
