package dev.rebias.outcome;

import dev.rebias.model.ComparableOutputs;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Runs whole networks in ONNX Runtime, as they are written, and compares their outputs. */
public final class OutcomeMeasurement {
    private final ComparableOutputs floating;
    private final ComparableOutputs before;
    private final ComparableOutputs after;
    /** By the output's position in the float model. */
    private final Map<Integer, OutputComparison> compared = new TreeMap<>();

    private final Map<Integer, String> obstacles = new TreeMap<>();

    private OutcomeMeasurement(Networks networks) {
        floating = ComparableOutputs.of(networks.floating());
        before = ComparableOutputs.of(networks.before());
        after = ComparableOutputs.of(networks.after());
    }

    /**
     * Measures how far the outputs are from the float network's.
     *
     * @param samples what to measure on; all of them are used
     * @param batch how many samples go through at a time: 1, unless the models fix another number
     * @throws dev.rebias.error.UnsupportedException if ONNX Runtime does not run one of the models
     */
    public static Outcome measure(Networks networks, BoundSamples samples, int batch) {
        return new OutcomeMeasurement(networks).run(networks, samples, batch);
    }

    private Outcome run(Networks networks, BoundSamples samples, int batch) {
        long start = System.nanoTime();
        try (WholeModel f = WholeModel.asWritten(networks.floating().name(), floating.bytes());
                WholeModel b = WholeModel.asWritten(networks.before().name(), before.bytes());
                WholeModel a = WholeModel.asWritten(networks.after().name(), after.bytes());
                Batches batches = samples.batches(batch)) {
            while (batches.hasNext()) {
                List<HostTensor> values = batches.next();
                Map<String, HostTensor> quantizedInputs =
                        networks.quantizedInputs().apply(values);
                add(
                        f.run(networks.floatInputs().apply(values)),
                        b.run(quantizedInputs),
                        a.run(quantizedInputs),
                        batches.samples());
            }
        }
        obstacles.keySet().forEach(compared::remove);
        double[] changes = changes();
        double mean = Arrays.stream(changes).average().orElse(0);
        double squares =
                Arrays.stream(changes).map(c -> (c - mean) * (c - mean)).sum();
        int n = changes.length;
        return new Outcome(
                samples.count(),
                compared.values().stream().map(OutputComparison::result).toList(),
                List.copyOf(obstacles.values()),
                mean,
                n < 2 ? 0 : Math.sqrt(squares / (n - 1) / n),
                (System.nanoTime() - start) / 1e9);
    }

    private double[] changes() {
        List<double[]> all =
                compared.values().stream().map(OutputComparison::changes).toList();
        // An output whose axis 0 does not count samples has one entry for a run, others may have more.
        int n = all.stream().mapToInt(c -> c.length).min().orElse(0);
        double[] sums = new double[n];
        for (double[] changes : all) {
            for (int i = 0; i < changes.length; i++) {
                sums[(int) ((long) i * n / changes.length)] += changes[i] * n / changes.length;
            }
        }
        return sums;
    }

    private void add(Map<String, HostTensor> f, Map<String, HostTensor> b, Map<String, HostTensor> a, int samples) {
        for (int i = 0; i < floating.names().size(); i++) {
            String name = floating.names().get(i);
            Optional<Integer> at = position(i);
            if (at.isEmpty()) {
                obstacles.putIfAbsent(
                        i, "output '" + name + "' is not among the quantised model's outputs " + before.names());
                continue;
            }
            HostTensor reference = f.get(floating.tensors().get(i));
            HostTensor old = b.get(before.tensors().get(at.get()));
            HostTensor corrected = a.get(after.tensors().get(at.get()));
            Optional<String> obstacle = obstacle(name, List.of(reference, old, corrected));
            if (obstacle.isPresent()) {
                obstacles.putIfAbsent(i, obstacle.get());
            } else {
                compared.computeIfAbsent(i, k -> new OutputComparison(name)).add(reference, old, corrected, samples);
            }
        }
    }

    /** The position of the quantised model's output that belongs to one of the float model's: by name, or in order where as many. */
    private Optional<Integer> position(int output) {
        if (before.names().containsAll(floating.names())) {
            return Optional.of(before.names().indexOf(floating.names().get(output)));
        }
        return before.names().size() == floating.names().size() ? Optional.of(output) : Optional.empty();
    }

    private static Optional<String> obstacle(String name, List<HostTensor> values) {
        List<ElementType> types = new ArrayList<>();
        values.forEach(v -> types.add(v.type()));
        if (types.stream().anyMatch(t -> t != ElementType.FLOAT)) {
            return Optional.of("output '" + name + "' is " + types.get(0)
                    + (types.get(1) == types.get(0) ? "" : " in the float model, " + types.get(1) + " in the quantised")
                    + ": distances are measured of FLOAT outputs");
        }
        long[] shape = values.get(0).shape();
        return values.stream()
                .map(HostTensor::shape)
                .filter(s -> !Arrays.equals(s, shape))
                .findFirst()
                .map(s -> "output '" + name + "' is " + Shape.text(shape) + " for one of the networks and "
                        + Shape.text(s) + " for another")
                .or(() -> values.get(0).elements() == 0
                        ? Optional.of("output '" + name + "' is empty " + Shape.text(shape))
                        : Optional.empty());
    }
}
