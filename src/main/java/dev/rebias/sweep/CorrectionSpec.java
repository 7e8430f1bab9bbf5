package dev.rebias.sweep;

import dev.rebias.error.UsageException;
import dev.rebias.exchange.Rounds;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.WeightGrid;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a sweep corrects the layers of its plan.
 *
 * @param grids for each layer of the plan, the values that its bias can take in its file
 * @param perChannel whether statistics of single channels are wanted
 * @param rule makes corrections of what was measured; empty where these are the mean errors
 * @param weightGrids for each layer whose weights the plan chooses anew, by its number, the values that they can take
 * @param rounds of participants that carry out equal plans: what is measured at a barrier is that of the samples of
 *     all, and so are results
 */
public record CorrectionSpec(
        List<BiasGrid> grids,
        boolean perChannel,
        Optional<CorrectionRule> rule,
        Map<Integer, WeightGrid> weightGrids,
        Rounds rounds) {
    /**
     * Checks that these go together.
     *
     * @throws UsageException if there is a rule, but no statistics of single channels; or if weights are chosen anew
     *     and there are several participants
     */
    public CorrectionSpec {
        if (rule.isPresent() && !perChannel) {
            throw new UsageException("corrections that follow from more than mean errors need statistics of channels");
        }
        if (!rounds.isAlone() && !weightGrids.isEmpty()) {
            throw new UsageException("weights are chosen from products of every two of a layer's inputs, which are not "
                    + "exchanged: adjust biases, or sweep all samples on one device");
        }
        grids = List.copyOf(grids);
        weightGrids = Map.copyOf(weightGrids);
    }

    /** Corrections of biases by the mean errors that this sweep alone measures. */
    public static CorrectionSpec byMeanErrors(List<BiasGrid> grids, boolean perChannel) {
        return new CorrectionSpec(grids, perChannel, Optional.empty(), Map.of(), Rounds.alone());
    }
}
