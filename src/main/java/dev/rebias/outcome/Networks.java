package dev.rebias.outcome;

import dev.rebias.model.OnnxModel;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The networks of an outcome, and how samples are given to them.
 *
 * @param floating the float model
 * @param before the quantised model as it came
 * @param after the quantised model, corrected
 * @param floatInputs gives a batch of samples as the float model's inputs, by name
 * @param quantizedInputs gives it as the quantised models' inputs
 */
public record Networks(
        OnnxModel floating,
        OnnxModel before,
        OnnxModel after,
        Function<List<HostTensor>, Map<String, HostTensor>> floatInputs,
        Function<List<HostTensor>, Map<String, HostTensor>> quantizedInputs) {}
