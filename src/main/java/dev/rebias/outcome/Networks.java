package dev.rebias.outcome;

import dev.rebias.model.OnnxModel;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A float network and others that are compared with it, and how samples are given to them.
 *
 * @param floating the float model
 * @param others the models whose outputs are compared with its
 * @param floatInputs gives a batch of samples as the float model's inputs, by name
 * @param otherInputs gives it as the other models' inputs
 */
public record Networks(
        OnnxModel floating,
        List<OnnxModel> others,
        Function<List<HostTensor>, Map<String, HostTensor>> floatInputs,
        Function<List<HostTensor>, Map<String, HostTensor>> otherInputs) {
    public Networks {
        others = List.copyOf(others);
    }
}
