package dev.rebias.model;

import java.util.Map;
import java.util.Set;

/**
 * What the program that made a model in memory knows of it, and an ONNX file cannot say.
 *
 * @param joinedToNext the names of the nodes that are corrected as one with the layer node behind them: the depthwise
 *     half of a separable convolution
 * @param notLayers the names of nodes that are not to be corrected, with the reason
 * @param channelsLast whether the samples of a four-dimensional input are [height, width, channels]; else [channels,
 *     height, width]
 */
public record ModelHints(Set<String> joinedToNext, Map<String, String> notLayers, boolean channelsLast) {
    /** Nothing to say: every node with weights is a layer of its own. */
    public static final ModelHints NONE = new ModelHints(Set.of(), Map.of(), false);

    public ModelHints {
        joinedToNext = Set.copyOf(joinedToNext);
        notLayers = Map.copyOf(notLayers);
    }
}
