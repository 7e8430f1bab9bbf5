package dev.rebias.device.cuda;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Operations that put elements elsewhere and change none: each by a strided index into its data, by
 * {@code cuda-kernels/copy.cu}.
 */
final class Moves {
    private Moves() {}

    /**
     * The sizes are an attribute before operator set 13, an input since; without them the parts are alike, but the last
     * may be smaller.
     */
    static Optional<List<Tensor>> split(OnnxOp op, Inputs inputs) {
        NodeProto node = op.node();
        int parts = node.getOutputCount();
        if (!inputs.onDevice(0)
                || (inputs.given(1) && inputs.integers(1).isEmpty())
                || node.getOutputList().stream().anyMatch(String::isEmpty)) {
            return Optional.empty();
        }
        long[] shape = inputs.shape(0);
        int named = Math.toIntExact(Attributes.integer(node, "axis", 0));
        int axis = named < 0 ? named + shape.length : named;
        long[] equal = new long[parts];
        long chunk = (shape[axis] + parts - 1) / parts;
        Arrays.setAll(equal, i -> Math.max(0, Math.min(chunk, shape[axis] - i * chunk)));
        long[] sizes = inputs.integers(1)
                .or(() -> Attributes.integers(node, "split")
                        .map(l -> l.stream().mapToLong(Long::longValue).toArray()))
                .orElse(equal);
        if (sizes.length != parts || Arrays.stream(sizes).sum() != shape[axis]) {
            throw new UnsupportedException("Split into parts of " + Shape.text(sizes) + " does not fit axis " + axis
                    + " of data of shape " + Shape.text(shape) + " and " + parts + " outputs");
        }
        DeviceTensor x = inputs.device(0);
        long[] strides = StridedIndex.dense(shape);
        try (Partial made = new Partial()) {
            List<Tensor> outputs = new ArrayList<>();
            long at = 0;
            for (long size : sizes) {
                long[] out = shape.clone();
                out[axis] = size;
                Optional<DeviceTensor> part = indexed(inputs.context(), x, at * strides[axis], strides, out, out)
                        .map(made::keep);
                if (part.isEmpty()) {
                    return Optional.empty();
                }
                outputs.add(part.get());
                at += size;
            }
            made.complete();
            return Optional.of(outputs);
        }
    }

    /** Every axis as often as the second input says. */
    static Optional<List<Tensor>> tile(OnnxOp op, Inputs inputs) {
        Optional<long[]> repeats = inputs.given(1) ? inputs.integers(1) : Optional.empty();
        if (!inputs.onDevice(0)
                || repeats.isEmpty()
                || repeats.get().length != inputs.shape(0).length
                || Arrays.stream(repeats.get()).anyMatch(r -> r < 0)) {
            return Optional.empty();
        }
        DeviceTensor value = inputs.device(0).reshape(inputs.shape(0));
        for (int axis = 0; axis < repeats.get().length; axis++) {
            long times = repeats.get()[axis];
            if (times != 1) {
                try (DeviceTensor before = value) {
                    value = repeated(inputs.context(), before, axis, times);
                }
            }
        }
        return Optional.of(List.of(value));
    }

    /** Along one axis: an index over three dimensions, whatever the tensor's rank. */
    private static DeviceTensor repeated(CudaContext context, DeviceTensor x, int axis, long times) {
        long[] out = x.shape();
        long outer = Shape.elements(out, 0, axis);
        long run = Shape.elements(out, axis, out.length);
        out[axis] = Math.multiplyExact(out[axis], times);
        long[] sizes = {outer, times, run};
        long[] strides = {run, 0, 1};
        return indexed(context, x, 0, strides, sizes, out).orElseThrow();
    }

    /** Channels in blocks of b x b to positions: [N, C, H, W] to [N, C / b^2, H b, W b]. */
    static Optional<List<Tensor>> depthToSpace(OnnxOp op, Inputs inputs) {
        long[] shape = inputs.shape(0);
        long b = Attributes.integer(op.node(), "blocksize", 0);
        if (!inputs.onDevice(0) || shape.length != 4 || b < 1 || shape[1] % (b * b) != 0) {
            return Optional.empty();
        }
        long c = shape[1] / (b * b);
        boolean columnFirst = Attributes.text(op.node(), "mode", "DCR").equals("CRD");
        // The block's row and column are the slowest part of the channel in DCR, the fastest in CRD.
        long plane = shape[2] * shape[3];
        long channel = columnFirst ? b * b * plane : plane;
        long column = columnFirst ? plane : c * plane;
        long[] sizes = {shape[0], c, shape[2], b, shape[3], b};
        long[] strides = {shape[1] * plane, channel, shape[3], b * column, 1, column};
        long[] out = {shape[0], c, shape[2] * b, shape[3] * b};
        return indexed(inputs.context(), inputs.device(0), 0, strides, sizes, out)
                .map(List::of);
    }

    /** Blocks of b x b positions to channels: [N, C, H, W] to [N, C b^2, H / b, W / b]. */
    static Optional<List<Tensor>> spaceToDepth(OnnxOp op, Inputs inputs) {
        long[] shape = inputs.shape(0);
        long b = Attributes.integer(op.node(), "blocksize", 0);
        if (!inputs.onDevice(0) || shape.length != 4 || b < 1 || shape[2] % b != 0 || shape[3] % b != 0) {
            return Optional.empty();
        }
        long plane = shape[2] * shape[3];
        long[] sizes = {shape[0], b, b, shape[1], shape[2] / b, shape[3] / b};
        long[] strides = {shape[1] * plane, shape[3], 1, plane, b * shape[3], b};
        long[] out = {shape[0], shape[1] * b * b, shape[2] / b, shape[3] / b};
        return indexed(inputs.context(), inputs.device(0), 0, strides, sizes, out)
                .map(List::of);
    }

    /**
     * A new dense tensor of what a strided index into another meets.
     *
     * @param out its shape, of as many elements as the index's sizes
     */
    private static Optional<DeviceTensor> indexed(
            CudaContext context, DeviceTensor x, long offset, long[] strides, long[] sizes, long[] out) {
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, x.type(), out));
            if (!Copies.copy(context, x, offset, strides, y, 0, StridedIndex.dense(sizes), sizes)) {
                return Optional.empty();
            }
            made.complete();
            return Optional.of(y);
        }
    }
}
