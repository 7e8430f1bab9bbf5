package dev.rebias.sweep;

import dev.rebias.device.WeightError;
import dev.rebias.model.Layer;
import dev.rebias.op.Convolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Optional;

/**
 * By how much the weights of a quantised layer are off, as the layer's data meet them: floats, or integers times their
 * scale.
 */
final class WeightErrors {
    private WeightErrors() {}

    /** The type of integers that are stored as such; floats that are whole numbers are floats to an operation. */
    private static Optional<ElementType> stored(Optional<Layer.Integers> integers) {
        return integers.map(Layer.Integers::type).filter(type -> type != ElementType.FLOAT);
    }

    private static long zero(Optional<Layer.Integers> integers) {
        return integers.map(Layer.Integers::zero).orElse(0L);
    }

    private static double[] difference(double[] a, double[] b) {
        double[] out = new double[a.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = a[i] - b[i];
        }
        return out;
    }

    private static double[] times(double[] values, double factor) {
        double[] out = values.clone();
        for (int i = 0; i < out.length; i++) {
            out[i] *= factor;
        }
        return out;
    }

    /**
     * By how much a layer's weights are off; of a run of two nodes, those of the one convolution that does the same as
     * both.
     */
    static WeightError of(Layer q, Layer f) {
        if (q.first().isEmpty()) {
            return own(q, f);
        }
        Layer.First first = q.first().get();
        long[] inner = first.weightShape();
        long inputs = inner[1] * first.op().group();
        long[] shape = inner.clone();
        shape[0] = q.channels();
        shape[1] = inputs;
        double scale = first.integers().map(Layer.Integers::dataScale).orElse(1.0);
        double[] reference = composed(f.first().orElseThrow(), f.weights(), inputs);
        double[] difference = difference(reference, composed(first, q.weights(), inputs));
        return new WeightError(
                new Convolution(first.op().window(), 1),
                shape,
                times(difference, scale),
                times(reference, scale),
                stored(first.integers()),
                scale,
                zero(first.integers()));
    }

    /** K[m, c, tap] = sum over the channels k between that depend on input c of P[m, k] D[k, c, tap], row-major. */
    private static double[] composed(Layer.First first, double[] pointwise, long inputs) {
        int between = Math.toIntExact(first.weightShape()[0]);
        int along = Math.toIntExact(first.weightShape()[1]);
        int taps = Math.toIntExact(Shape.elements(first.weightShape(), 2, first.weightShape().length));
        int perGroup = Math.toIntExact(between / first.op().group());
        int channels = pointwise.length / between;
        int row = Math.toIntExact(inputs) * taps;
        double[] out = new double[channels * row];
        for (int m = 0; m < channels; m++) {
            for (int k = 0; k < between; k++) {
                int start = m * row + k / perGroup * along * taps;
                for (int i = 0; i < along * taps; i++) {
                    out[start + i] += pointwise[m * between + k] * first.weights()[k * along * taps + i];
                }
            }
        }
        return out;
    }

    /**
     * By how much the weights of the first of two nodes are off; in terms of the data's integers where it works on
     * such.
     */
    static WeightError first(Layer q, Layer f) {
        Layer.First first = q.first().orElseThrow();
        double scale = first.integers().map(Layer.Integers::dataScale).orElse(1.0);
        double[] reference = f.first().orElseThrow().weights();
        return new WeightError(
                first.op(),
                first.weightShape(),
                times(difference(reference, first.weights()), scale),
                times(reference, scale),
                stored(first.integers()),
                scale,
                zero(first.integers()));
    }

    /**
     * By how much the weights of a layer's own node are off; in terms of the data's integers where it works on such.
     */
    static WeightError own(Layer q, Layer f) {
        double scale = q.integers().map(Layer.Integers::dataScale).orElse(1.0);
        return new WeightError(
                q.op(),
                q.weightShape(),
                times(difference(f.weights(), q.weights()), scale),
                times(f.weights(), scale),
                stored(q.integers()),
                scale,
                zero(q.integers()));
    }
}
