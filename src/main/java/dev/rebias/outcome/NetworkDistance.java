package dev.rebias.outcome;

import java.util.List;
import java.util.Optional;

/**
 * How far one network's outputs are from the float network's.
 *
 * @param samples on how many samples that was measured
 * @param outputs each output that could be compared, in the float model's order
 * @param notCompared the outputs that could not be, one sentence each
 * @param relative for each run sample its squared error over the float output's mean square, the outputs' added up
 */
public record NetworkDistance(int samples, List<Output> outputs, List<String> notCompared, List<Double> relative) {
    /**
     * One output of the network.
     *
     * @param name its name in the float model
     * @param signalPower the mean square of the float network's output
     * @param error the mean squared error
     * @param cosine of the angle between the outputs of both networks, all samples as one vector: 1 where they are
     *     multiples of each other
     * @param sameLargest where the output looks like scores of classes: how often its largest value is at the float
     *     network's place, 0 to 1
     */
    public record Output(String name, double signalPower, double error, double cosine, Optional<Double> sameLargest) {}

    public NetworkDistance {
        outputs = List.copyOf(outputs);
        notCompared = List.copyOf(notCompared);
        relative = List.copyOf(relative);
    }

    /** The relative squared error, the outputs' added up. */
    public double relativeError() {
        return relative.stream().mapToDouble(r -> r).average().orElse(0);
    }
}
