package dev.rebias;

import dev.rebias.measure.Moments;
import dev.rebias.measure.WeightChoice;
import java.util.List;
import java.util.Optional;

/**
 * What became of one layer of the quantised model.
 *
 * @param name the node's name
 * @param output the node's output tensor
 * @param measuredAt the tensor at which its errors were measured: that output, or behind a MatMul the output of the Add
 *     with its bias; in a QOperator node a tensor that the file does not hold
 * @param op the op type
 * @param channels output channels; 0 if unknown
 * @param status what was done
 * @param reason why it was skipped or left
 * @param moments its errors and its correction, unless it was skipped
 * @param heldOut what the correction does to its errors on the samples that were held out, if any were
 * @param givenUp the channels that were left as they were because their error on held-out samples would have risen
 * @param weights what became of its weights; empty where weights were not to be adjusted, or the layer was not measured
 */
public record LayerResult(
        String name,
        String output,
        String measuredAt,
        String op,
        int channels,
        Status status,
        Optional<String> reason,
        Optional<Moments> moments,
        Optional<Moments> heldOut,
        List<Integer> givenUp,
        Optional<Weights> weights) {
    public LayerResult {
        givenUp = List.copyOf(givenUp);
    }

    /**
     * What became of a layer's weights.
     *
     * @param moved the share of them that are others than before, 0 to 1
     * @param kept why they stay as they were; empty where they were chosen anew
     * @param mseWithBias the mean squared error with the old weights and a correction of the bias alone, where it was
     *     measured
     * @param heldOut what held-out samples say of the weights that were found, taken or not
     */
    public record Weights(
            double moved,
            Optional<String> kept,
            Optional<Double> mseWithBias,
            Optional<WeightChoice.HeldOut> heldOut) {}

    /** What was done with a layer. */
    public enum Status {
        /** Its bias was changed. */
        CORRECTED,
        /** It had no bias and was given one. */
        INSERTED,
        /** It was measured, and left as it was. */
        LEFT,
        /** It was not measured, and left as it was. */
        SKIPPED
    }
    /** Whether it has another bias now. */
    public boolean isCorrected() {
        return status == Status.CORRECTED || status == Status.INSERTED;
    }
}
