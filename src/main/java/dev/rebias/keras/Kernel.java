package dev.rebias.keras;

import dev.rebias.keras.WeightQuantizer.Quantized;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
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
     * Quantised weights: {@code values = steps * scale}, up to float32's rounding.
     *
     * @param scale one per output channel
     */
    record Steps(int[] steps, float[] scale) {}

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

    /** From Keras' [height, width, in, multiplier] of a depthwise convolution, which makes output channel in * multiplier + m. */
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
                    float[] scale = new float[channels];
                    for (int c = 0; c < channels; c++) {
                        float factor = q.scaleFactors()[q.scaleFactors().length == 1 ? 0 : c % last];
                        // Weights without any reach are all zero, whatever their step.
                        scale[c] = Float.isFinite(factor) ? 1 / factor : 1;
                    }
                    return new Steps(q.steps(), scale);
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
        return new Kernel(newShape.clone(), moved, quantized.map(q -> new Steps(steps, q.scale())));
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

    /** The steps as INT8. */
    HostTensor steps() {
        HostTensor out = HostTensor.zeros(ElementType.INT8, shape);
        for (int i = 0; i < values.length; i++) {
            out.bytes().put(i, (byte) quantized.orElseThrow().steps()[i]);
        }
        return out;
    }
}
