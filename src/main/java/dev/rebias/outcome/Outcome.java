package dev.rebias.outcome;

import java.util.List;
import java.util.Optional;

/**
 * How far the quantised network's outputs are from the float network's, before the correction and after it.
 *
 * @param samples on how many samples that was measured, each run on its own where the models allow it
 * @param outputs each output that could be compared, in the float model's order
 * @param notCompared the outputs that could not be, one sentence each
 * @param change by how much the relative squared error rose (fell where it is negative), the outputs' added up: the mean over samples of
 *     (error^2 after - error^2 before) / mean float output^2
 * @param standardError of the change, paired by sample; 0 for one sample
 * @param seconds how long the measurement took
 */
public record Outcome(
        int samples,
        List<Output> outputs,
        List<String> notCompared,
        double change,
        double standardError,
        double seconds) {
    /** So many standard errors make a rise more than noise. */
    private static final double SIGNIFICANT = 2;

    /** A relative squared error below this is float32's rounding. */
    private static final double ROUNDING = 1e-9;

    /**
     * One output of the network.
     *
     * @param name its name in the float model
     * @param signalPower the mean square of the float network's output
     * @param errorBefore the mean squared error of the quantised network's
     * @param errorAfter the same after the correction
     * @param largest where the output looks like scores of classes: how often its largest value is at the float network's place
     */
    public record Output(
            String name, double signalPower, double errorBefore, double errorAfter, Optional<Agreement> largest) {}

    /** Shares of samples, 0 to 1. */
    public record Agreement(double before, double after) {}

    public Outcome {
        outputs = List.copyOf(outputs);
        notCompared = List.copyOf(notCompared);
    }

    /** Whether the outputs are further from the float network's than before, by more than chance and rounding explain. */
    public boolean isWorse() {
        return !(change <= ROUNDING) && !(change <= SIGNIFICANT * standardError);
    }
}
