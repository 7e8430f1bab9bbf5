package dev.rebias.device.cuda;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Elements moved from one place to another: {@code cuda-kernels/copy.cu} and {@code pad.cu}. */
final class Copies {
    private Copies() {}

    /**
     * Copies elements by two strided indices of the same sizes.
     *
     * @return false if the tensors have too many dimensions for the kernel
     */
    static boolean copy(
            CudaContext context,
            DeviceTensor from,
            long fromOffset,
            long[] fromStrides,
            DeviceTensor to,
            long toOffset,
            long[] toStrides,
            long[] sizes) {
        // Dimensions that follow each other in both tensors are one to the kernel.
        List<Integer> last = new ArrayList<>();
        List<Long> merged = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            if (sizes[i] == 1) {
                continue;
            }
            int top = last.size() - 1;
            if (top >= 0
                    && fromStrides[last.get(top)] == fromStrides[i] * sizes[i]
                    && toStrides[last.get(top)] == toStrides[i] * sizes[i]) {
                merged.set(top, merged.get(top) * sizes[i]);
                last.set(top, i);
            } else {
                merged.add(sizes[i]);
                last.add(i);
            }
        }
        long[] kept = merged.stream().mapToLong(Long::longValue).toArray();
        Optional<StridedIndex> source = StridedIndex.paired(
                kept, last.stream().mapToLong(i -> fromStrides[i]).toArray());
        Optional<StridedIndex> target = StridedIndex.paired(
                kept, last.stream().mapToLong(i -> toStrides[i]).toArray());
        if (source.isEmpty() || target.isEmpty()) {
            return false;
        }
        long n = Shape.elements(sizes);
        if (n > 0) {
            String kernel = "copy_" + from.type().bytes();
            context.arguments()
                    .pointer(from.address())
                    .pointer(to.address())
                    .int64(n)
                    .int64(fromOffset)
                    .int64(toOffset)
                    .index(source.get())
                    .index(target.get())
                    .over(context.kernel("copy.cu", kernel), kernel, n);
        }
        return true;
    }

    /** The part of a tensor that begins at {@code begins} and has the shape of {@code to}. */
    static void window(CudaContext context, DeviceTensor from, DeviceTensor to, long[] begins) {
        long[] shape = to.shape();
        long[] strides = StridedIndex.dense(from.shape());
        long offset = 0;
        for (int i = 0; i < shape.length; i++) {
            offset += begins[i] * strides[i];
        }
        copy(context, from, offset, strides, to, 0, StridedIndex.dense(shape), shape);
    }

    /**
     * A tensor of that shape with another inside, beginning at {@code begins}, and zeros around it; where that is
     * negative, the other's beginning is cut off.
     */
    static DeviceTensor place(CudaContext context, DeviceTensor from, long[] shape, long[] begins) {
        return pad(context, from, shape, begins, 0, 0f).orElseThrow();
    }

    /**
     * ONNX Pad.
     *
     * @param begins how many elements come before the data, per axis; negative cuts
     * @param mode 0 constant, 1 edge, 2 reflect
     * @return empty if the tensor has too many dimensions for the kernel
     */
    static Optional<DeviceTensor> pad(
            CudaContext context, DeviceTensor from, long[] shape, long[] begins, int mode, float value) {
        long[] in = from.shape();
        Optional<StridedIndex> out = StridedIndex.paired(shape, StridedIndex.dense(shape));
        Optional<StridedIndex> source = StridedIndex.paired(in, StridedIndex.dense(in));
        Optional<StridedIndex> before = StridedIndex.paired(in, begins);
        if (out.isEmpty() || source.isEmpty() || before.isEmpty() || from.type() != ElementType.FLOAT) {
            return Optional.empty();
        }
        try (Partial made = new Partial()) {
            DeviceTensor to = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, shape));
            if (to.elements() > 0) {
                context.arguments()
                        .pointer(from.address())
                        .pointer(to.address())
                        .int64(to.elements())
                        .index(out.get())
                        .index(source.get())
                        .index(before.get())
                        .int32(mode)
                        .float32(value)
                        .over(context.kernel("pad.cu", "pad"), "pad", to.elements());
            }
            made.complete();
            return Optional.of(to);
        }
    }

    /** The strides with which a tensor is read as one of a larger shape: 0 along the axes that are broadcast. */
    static long[] broadcastStrides(long[] shape, long[] to) {
        long[] own = StridedIndex.dense(shape);
        long[] strides = new long[to.length];
        int shift = to.length - shape.length;
        Arrays.setAll(strides, i -> i < shift || shape[i - shift] == 1 ? 0 : own[i - shift]);
        return strides;
    }
}
