package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.List;
import java.util.Optional;

/** Gather and GatherElements: {@code cuda-kernels/gather.cu}. */
final class Gathers {
    /** What a place outside of floats gives: NaN, so that what follows says so. Other types have no such value. */
    private static final long NAN = 0x7fc00000;

    private Gathers() {}

    static Optional<List<Tensor>> gather(OnnxOp op, Inputs inputs) {
        Optional<Integer> axis = axis(op, inputs);
        if (axis.isEmpty()) {
            return Optional.empty();
        }
        long[] data = inputs.shape(0);
        long[] index = inputs.shape(1);
        int a = axis.get();
        long[] out = new long[data.length - 1 + index.length];
        System.arraycopy(data, 0, out, 0, a);
        System.arraycopy(index, 0, out, a, index.length);
        System.arraycopy(data, a + 1, out, a + index.length, data.length - a - 1);
        CudaContext context = inputs.context();
        DeviceTensor x = inputs.device(0);
        DeviceTensor k = inputs.device(1);
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, x.type(), out));
            if (y.elements() > 0) {
                String kernel = "gather_" + x.type().bytes();
                begin(context, x, y, k, data[a])
                        .int64(k.elements())
                        .int64(Shape.elements(data, a + 1, data.length))
                        .int64(missing(x))
                        .over(context.kernel("gather.cu", kernel), kernel, y.elements());
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    static Optional<List<Tensor>> gatherElements(OnnxOp op, Inputs inputs) {
        Optional<Integer> axis = axis(op, inputs);
        if (axis.isEmpty() || inputs.shape(0).length != inputs.shape(1).length) {
            return Optional.empty();
        }
        int a = axis.get();
        long[] data = inputs.shape(0);
        long[] out = inputs.shape(1);
        long[] strides = StridedIndex.dense(data);
        long stride = strides[a];
        strides[a] = 0;
        Optional<StridedIndex> place = StridedIndex.of(out, strides);
        if (place.isEmpty()) {
            return Optional.empty();
        }
        for (int i = 0; i < out.length; i++) {
            if (i != a && out[i] > data[i]) {
                throw new UnsupportedException("GatherElements with indices of shape " + Shape.text(out)
                        + " does not fit data of shape " + Shape.text(data));
            }
        }
        CudaContext context = inputs.context();
        DeviceTensor x = inputs.device(0);
        DeviceTensor k = inputs.device(1);
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, x.type(), out));
            if (y.elements() > 0) {
                String kernel = "gather_elements_" + x.type().bytes();
                begin(context, x, y, k, data[a])
                        .int64(stride)
                        .int64(missing(x))
                        .index(place.get())
                        .over(context.kernel("gather.cu", kernel), kernel, y.elements());
            }
            made.complete();
            return Optional.of(List.of(y));
        }
    }

    /** The axis, if the inputs are of types that kernels know. Indices that the host has are checked here. */
    private static Optional<Integer> axis(OnnxOp op, Inputs inputs) {
        if (!inputs.given(0)
                || !PointwiseExpression.TYPES.containsKey(inputs.type(0))
                || !(inputs.is(1, ElementType.INT64) || inputs.is(1, ElementType.INT32))) {
            return Optional.empty();
        }
        long[] data = inputs.shape(0);
        int axis = Math.toIntExact(Attributes.integer(op.node(), "axis", 0));
        axis = axis < 0 ? axis + data.length : axis;
        long size = data[axis];
        Optional<HostTensor> known = inputs.host(1);
        for (int i = 0; i < known.map(HostTensor::elements).orElse(0L); i++) {
            HostTensor index = known.get();
            long k = index.type() == ElementType.INT64
                    ? index.longs().get(i)
                    : index.ints().get(i);
            if (k < -size || k >= size) {
                throw new UnsupportedException(op.type() + " reads index " + k + " along an axis of " + size
                        + " elements of data of shape " + Shape.text(data));
            }
        }
        return Optional.of(axis);
    }

    private static Launch begin(CudaContext context, DeviceTensor x, DeviceTensor y, DeviceTensor index, long size) {
        long[] addresses = {x.address(), y.address(), index.address()};
        return context.arguments()
                .pointer(addresses[0])
                .pointer(addresses[1])
                .int64(y.elements())
                .pointer(addresses[2])
                .int32(index.type() == ElementType.INT64 ? 1 : 0)
                .int64(size);
    }

    private static long missing(DeviceTensor x) {
        return x.type() == ElementType.FLOAT ? NAN : 0;
    }
}
