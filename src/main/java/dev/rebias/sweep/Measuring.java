package dev.rebias.sweep;

import dev.rebias.device.Method;
import dev.rebias.device.Preferences;
import dev.rebias.device.WeightError;
import dev.rebias.model.Graph;
import dev.rebias.model.LayerPair;
import dev.rebias.model.Node;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Chooses by which sums each layer is measured.
 *
 * @param errors whether the errors themselves are wanted, or only their means
 * @param pooled the tensors of the quantised model that have one position
 * @param oneShape whether all samples have one shape; of others the products of inputs are not weighted by sample
 * @param adjusted the layers whose weights are chosen anew
 */
record Measuring(
        Reference reference,
        boolean errors,
        Preferences device,
        Set<String> pooled,
        boolean oneShape,
        Predicate<LayerPair> adjusted) {
    private static final Set<String> POOLS = Set.of("GlobalAveragePool", "GlobalMaxPool", "ReduceMean");

    static Measuring of(
            Reference reference,
            boolean errors,
            Preferences device,
            Graph quantized,
            boolean oneShape,
            Predicate<LayerPair> adjusted) {
        return new Measuring(reference, errors, device, pooled(quantized), oneShape, adjusted);
    }

    /** The tensors that have one position, for they follow from nothing but what was pooled as a whole. */
    private static Set<String> pooled(Graph quantized) {
        Set<String> pooled = new HashSet<>();
        for (Node node : quantized.nodes()) {
            List<String> variable =
                    node.inputs().stream().filter(quantized::isVariable).toList();
            if (POOLS.contains(node.op().type()) || (!variable.isEmpty() && pooled.containsAll(variable))) {
                pooled.addAll(node.outputs());
            }
        }
        return pooled;
    }

    /**
     * How a layer is measured. In the reference {@code LAYER} mean errors of layers on integers come from sums of
     * these, which are exact: the same bits on every device, for every batch size and division of the samples.
     */
    Plan.Measured measured(LayerPair pair) {
        WeightError weights = WeightErrors.of(pair.quantized(), pair.floating());
        boolean layer = reference == Reference.LAYER;
        if (adjusted.test(pair)) {
            return new Plan.Measured(
                    List.of(Method.UNFOLDED), weights, Optional.of(LayerSteps.multiplied(pair.quantized())));
        }
        if (!errors) {
            return new Plan.Measured(List.of(Method.CLASS_SUMS), weights);
        }
        Method gram = layer ? Method.GRAM : Method.JOINT_GRAM;
        // Products of one position for each sample are more work than its errors.
        boolean onePosition = !layer && pooled.contains(pair.quantized().data());
        if (oneShape && !onePosition && device.prefers(gram, weights)) {
            return new Plan.Measured(List.of(gram), weights);
        }
        boolean ofInput = pair.quantized().first().isEmpty() && device.prefers(Method.ERRORS_OF_INPUT, weights);
        Method all = ofInput ? Method.ERRORS_OF_INPUT : Method.ERRORS;
        return new Plan.Measured(
                layer && weights.dataType().isPresent() ? List.of(Method.CLASS_SUMS, all) : List.of(all), weights);
    }
}
