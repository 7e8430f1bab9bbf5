package dev.rebias;

import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Samples;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** How far a network's outputs are from those of the float network that it was made from. */
public final class NetworkComparison {
    /** Each that is open takes its weights' memory, and what ONNX Runtime keeps of its runs. */
    private static final int MOST_OPEN = 4;

    private NetworkComparison() {}

    /**
     * Runs both networks whole in ONNX Runtime, each sample on its own where the models allow it.
     *
     * @param other a model with the float model's inputs, or integers that stand for them
     * @param samples all of them are used
     * @throws dev.rebias.error.UnsupportedException if the models cannot be given the same samples, or ONNX Runtime
     *     does not run them
     */
    public static NetworkDistance of(OnnxModel floating, OnnxModel other, Samples samples) {
        return of(floating, List.of(other), samples).get(0);
    }

    /**
     * The same of several networks, in order; the float network runs once for every {@value #MOST_OPEN} that take
     * samples in the same way.
     *
     * @param others each a model with the float model's inputs, or integers that stand for them
     */
    public static List<NetworkDistance> of(OnnxModel floating, List<OnnxModel> others, Samples samples) {
        Graph graph = GraphReader.read(floating);
        List<NetworkInputs> inputs = others.stream()
                .map(other -> NetworkInputs.match(graph, GraphReader.read(other), other.hints()))
                .toList();
        Map<String, List<Integer>> alike = new LinkedHashMap<>();
        for (int i = 0; i < others.size(); i++) {
            alike.computeIfAbsent(inputs.get(i).how(), k -> new ArrayList<>()).add(i);
        }
        Map<Integer, NetworkDistance> distances = new TreeMap<>();
        for (List<Integer> group : alike.values()) {
            NetworkInputs how = inputs.get(group.get(0));
            BoundSamples bound = samples.bind(how.ofSweep());
            for (int from = 0; from < group.size(); from += MOST_OPEN) {
                List<Integer> some = group.subList(from, Math.min(from + MOST_OPEN, group.size()));
                List<NetworkDistance> own = OutcomeMeasurement.measure(
                        new Networks(
                                floating,
                                some.stream().map(others::get).toList(),
                                how::ofFloatFile,
                                how::ofQuantizedFile),
                        bound,
                        how.fixedBatch(bound).orElse(1));
                for (int i = 0; i < own.size(); i++) {
                    distances.put(some.get(i), own.get(i));
                }
            }
        }
        return List.copyOf(distances.values());
    }
}
