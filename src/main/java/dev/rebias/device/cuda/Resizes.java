package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Resampling;
import dev.rebias.op.Resizing;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/** Resize and Upsample: {@code cuda-kernels/resize.cu}. */
final class Resizes {
    private Resizes() {}

    static Optional<List<Tensor>> resize(OnnxOp op, Inputs inputs) {
        if (!inputs.is(0, ElementType.FLOAT)) {
            return Optional.empty();
        }
        long[] in = inputs.shape(0);
        boolean old = op.type().equals("Upsample") || op.opset() < 11;
        Optional<float[]> scales = floats(inputs, old ? 1 : 2);
        Optional<long[]> sizes = scales.isPresent() || old ? Optional.empty() : inputs.integers(3);
        Optional<Resampling> resampling =
                Resampling.of(op, in, scales, sizes, old ? Optional.empty() : floats(inputs, 1));
        return resampling.map(r -> {
            DeviceTensor x = inputs.device(0);
            DeviceTensor y = Resizing.of(r, in)
                    .map(planes -> planes(inputs.context(), x, planes))
                    .orElseGet(() -> axes(inputs.context(), x, r));
            return List.of(y);
        });
    }

    private static Optional<float[]> floats(Inputs inputs, int i) {
        return inputs.parameter(i)
                .filter(t -> t.elements() > 0 && t.type() == ElementType.FLOAT)
                .map(HostTensor::toFloats);
    }

    /** The last two dimensions at once. */
    private static DeviceTensor planes(CudaContext context, DeviceTensor x, Resizing r) {
        long[] in = x.shape();
        long[] out = r.output();
        int rank = in.length;
        try (Partial made = new Partial();
                DeviceTensor tables = context.upload(tables(r))) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            if (y.elements() > 0) {
                long rows = tables.address();
                long rowWeights = rows + 2 * Integer.BYTES * out[rank - 2];
                long columns = rowWeights + Float.BYTES * out[rank - 2];
                long columnWeights = columns + 2 * Integer.BYTES * out[rank - 1];
                context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(y.elements())
                        .int32(in[rank - 2])
                        .int32(in[rank - 1])
                        .int32(out[rank - 2])
                        .int32(out[rank - 1])
                        .pointer(rows)
                        .pointer(rowWeights)
                        .pointer(columns)
                        .pointer(columnWeights)
                        .over(context.kernel("resize.cu", "resize"), "resize", y.elements());
            }
            made.complete();
            return y;
        }
    }

    private static HostTensor tables(Resizing r) {
        long values = 3 * (r.output()[r.output().length - 2] + r.output()[r.output().length - 1]);
        HostTensor all = HostTensor.zeros(ElementType.FLOAT, values);
        ByteBuffer bytes = all.bytes();
        for (Resizing.Taps taps : List.of(r.rows(), r.columns())) {
            put(bytes, taps.inputs(), taps.weights());
        }
        return all;
    }

    private static void put(ByteBuffer to, int[] inputs, float[] weights) {
        for (int input : inputs) {
            to.putInt(input);
        }
        for (float weight : weights) {
            to.putFloat(weight);
        }
    }

    /** One axis after another. */
    private static DeviceTensor axes(CudaContext context, DeviceTensor x, Resampling r) {
        DeviceTensor value = x.reshape(x.shape());
        for (Resampling.Axis axis : r.axes()) {
            try (DeviceTensor before = value) {
                value = axis(context, before, axis, r.outside());
            }
        }
        return value;
    }

    private static DeviceTensor axis(CudaContext context, DeviceTensor x, Resampling.Axis axis, float outside) {
        long[] in = x.shape();
        long[] out = in.clone();
        out[axis.axis()] = axis.size();
        HostTensor table = HostTensor.zeros(ElementType.FLOAT, 2L * axis.inputs().length);
        put(table.bytes(), axis.inputs(), axis.weights());
        try (Partial made = new Partial();
                DeviceTensor sent = context.upload(table)) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            if (y.elements() > 0) {
                long inputs = sent.address();
                context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(y.elements())
                        .int64(in[axis.axis()])
                        .int64(axis.size())
                        .int64(Shape.elements(in, axis.axis() + 1, in.length))
                        .pointer(inputs)
                        .pointer(inputs + (long) Integer.BYTES * axis.inputs().length)
                        .int32(axis.taps())
                        .float32(outside)
                        .over(context.kernel("resize.cu", "resize_axis"), "resize_axis", y.elements());
            }
            made.complete();
            return y;
        }
    }
}
