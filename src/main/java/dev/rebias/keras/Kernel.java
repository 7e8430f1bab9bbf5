package dev.rebias.keras;

import dev.rebias.keras.WeightQuantizer.Quantized;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.IntUnaryOperator;

/**
 * A kernel in ONNX's layout.
 *
 * @param shape [out, in / groups, height, width] of a convolution, [in, out] of a product
 * @param values what the layer multiplies by, row-major
 * @param quantized the same as integers, where the layer quantises it
 */
record Kernel(long[] shape, float[] values, Optional<Steps> quantized) {
    /**
     * Quantised weights: {@code values = steps / factors} in float32.
     *
     * @param factors the scale factors, one per output channel
     */
    record Steps(int[] steps, float[] factors) {
        /** What an integer engine multiplies the steps by. */
        float[] scale() {
            float[] scale = new float[factors.length];
            for (int c = 0; c < scale.length; c++) {
                scale[c] = 1 / factors[c];
            }
            return scale;
        }
    }

    /** From Keras' [height, width, in / groups, out] of a convolution. */
    static Kernel convolution(long[] keras, float[] values, Optional<Quantized> quantized) {
        int taps = Math.toIntExact(keras[0] * keras[1]);
        int in = Math.toIntExact(keras[2]);
        int out = Math.toIntExact(keras[3]);
        return inKerasOrder(values, quantized, out, out)
                .moved(
                        new long[] {out, in, keras[0], keras[1]},
                        k -> (k % out * in + k / out % in) * taps + k / out / in);
    }

    /**
     * From Keras' [height, width, in, multiplier] of a depthwise convolution, which makes output channel in *
     * multiplier + m.
     */
    static Kernel depthwise(long[] keras, float[] values, Optional<Quantized> quantized) {
        int taps = Math.toIntExact(keras[0] * keras[1]);
        int out = Math.toIntExact(keras[2] * keras[3]);
        return inKerasOrder(values, quantized, Math.toIntExact(keras[3]), out)
                .moved(new long[] {out, 1, keras[0], keras[1]}, k -> k % out * taps + k / out);
    }

    /** From Keras' [in, out] of a Dense layer, which is ONNX's. */
    static Kernel product(long[] keras, float[] values, Optional<Quantized> quantized) {
        int out = Math.toIntExact(keras[1]);
        return inKerasOrder(values, quantized, out, out).moved(keras, k -> k);
    }

    /** The values as they are stored; scale factors belong to the last axis, of that length. */
    private static Kernel inKerasOrder(float[] values, Optional<Quantized> quantized, int last, int channels) {
        return new Kernel(
                new long[] {values.length}, quantized.map(Quantized::values).orElse(values), quantized.map(q -> {
                    float[] factors = new float[channels];
                    for (int c = 0; c < channels; c++) {
                        float factor = q.scaleFactors()[q.scaleFactors().length == 1 ? 0 : c % last];
                        // Weights without any reach are all zero, whatever their step.
                        factors[c] = Float.isFinite(factor) ? factor : 1;
                    }
                    return new Steps(q.steps(), factors);
                }));
    }

    private Kernel moved(long[] newShape, IntUnaryOperator place) {
        float[] moved = new float[values.length];
        int[] steps = new int[values.length];
        for (int k = 0; k < values.length; k++) {
            moved[place.applyAsInt(k)] = values[k];
            if (quantized.isPresent()) {
                steps[place.applyAsInt(k)] = quantized.get().steps()[k];
            }
        }
        return new Kernel(newShape.clone(), moved, quantized.map(q -> new Steps(steps, q.factors())));
    }

    /** The same product of a flattened image, whose elements come in that tensor's order. */
    Kernel forFlattened(Value image) {
        int out = Math.toIntExact(shape[1]);
        return moved(shape, k -> image.place(k / out) * out + k % out);
    }

    /** The same product as a convolution of one tap, [out, in, 1, 1]. */
    Kernel asPointwise() {
        int in = Math.toIntExact(shape[0]);
        int out = Math.toIntExact(shape[1]);
        return moved(new long[] {out, in, 1, 1}, k -> k % out * in + k / out);
    }

    HostTensor tensor() {
        return HostTensor.of(values, shape);
    }

    /** The steps as INT8 or INT32. */
    HostTensor steps(ElementType type) {
        HostTensor out = HostTensor.zeros(type, shape);
        for (int i = 0; i < values.length; i++) {
            int step = quantized.orElseThrow().steps()[i];
            if (type == ElementType.INT8) {
                out.bytes().put(i, (byte) step);
            } else {
                out.ints().put(i, step);
            }
        }
        return out;
    }

    /** The scale factors, so shaped that they broadcast along an axis of the kernel. */
    HostTensor factors(int axis) {
        float[] factors = quantized.orElseThrow().factors();
        long[] along = new long[shape.length - axis];
        Arrays.fill(along, 1);
        along[0] = factors.length;
        return HostTensor.of(factors, along);
    }
}
