package dev.rebias.device;

import dev.rebias.op.LayerOp;
import dev.rebias.tensor.ElementType;
import java.util.Optional;

/**
 * By how much a layer's weights are off, and what they should be.
 *
 * @param op the layer's operation
 * @param shape the weights' shape
 * @param difference W_f - W_q, row-major; where the data are integers, times the data's scale
 * @param reference W_f, in the same way
 * @param dataType UINT8 or INT8 where the data are integers, else empty
 * @param scale of data that are integers or stand for such, else 1
 * @param zero their zero point, else 0
 */
public record WeightError(
        LayerOp op,
        long[] shape,
        double[] difference,
        double[] reference,
        Optional<ElementType> dataType,
        double scale,
        long zero) {
    /**
     * The weights of the error of a pointwise layer where each network has an input of its own, over the columns (p, v)
     * of {@link GramTotals}: [channels, 2 inputs].
     */
    public double[] jointErrors() {
        return besides(difference);
    }

    /** The weights of the float output in the same way. */
    public double[] jointOutputs() {
        return besides(reference);
    }

    /** In each row a matrix's, then W_f in terms of floats. */
    private double[] besides(double[] left) {
        int inputs = Math.toIntExact(shape[1]);
        double[] both = new double[2 * left.length];
        for (int i = 0; i < left.length; i++) {
            int row = i / inputs * inputs;
            both[row + i] = left[i];
            both[row + inputs + i] = reference[i] / scale;
        }
        return both;
    }
}
