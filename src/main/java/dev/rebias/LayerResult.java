package dev.rebias;

import dev.rebias.measure.Moments;
import java.util.Optional;

/**
 * What became of one layer of the quantised model.
 *
 * @param name the node's name
 * @param output the node's output tensor
 * @param measuredAt the tensor at which its errors were measured: that output, or behind a MatMul the output of the Add with its bias; in a
 *     QOperator node a tensor that the file does not hold
 * @param op the op type
 * @param channels output channels; 0 if unknown
 * @param status what was done
 * @param reason why it was skipped
 * @param moments its errors and its correction, unless it was skipped
 */
public record LayerResult(
        String name,
        String output,
        String measuredAt,
        String op,
        int channels,
        Status status,
        Optional<String> reason,
        Optional<Moments> moments) {
    /** What was done with a layer. */
    public enum Status {
        /** Its bias was changed. */
        CORRECTED,
        /** It had no bias and was given one. */
        INSERTED,
        /** It was left as it was. */
        SKIPPED
    }
}
