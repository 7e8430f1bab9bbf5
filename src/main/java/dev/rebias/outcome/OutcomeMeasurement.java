package dev.rebias.outcome;

import dev.rebias.error.CancelledException;
import dev.rebias.exchange.Rounds;
import dev.rebias.model.ComparableOutputs;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Runs whole networks in ONNX Runtime, as they are written, and compares their outputs with the float network's. */
public final class OutcomeMeasurement {
    private OutcomeMeasurement() {}

    /** The same of samples that are not divided into parts. */
    public static List<NetworkDistance> measure(Networks networks, BoundSamples samples, int batch) {
        return measure(networks, Optional.of(samples), batch, Rounds.alone());
    }

    /**
     * Measures how far networks' outputs are from the float network's. Each network runs once on each sample.
     *
     * @param samples what to measure on; all of them are used. Empty where only other participants have some
     * @param batch how many samples go through at a time: 1, unless the models fix another number
     * @param rounds of participants with other samples of the same kind: what is measured is measured on those of all
     * @return for each of the other networks, how far it is
     * @throws CancelledException if the thread is interrupted: no other batch begins
     * @throws dev.rebias.error.UnsupportedException if ONNX Runtime does not run one of the models
     */
    public static List<NetworkDistance> measure(
            Networks networks, Optional<BoundSamples> samples, int batch, Rounds rounds) {
        ComparableOutputs floating = ComparableOutputs.of(networks.floating());
        List<Other> others = new ArrayList<>();
        try {
            networks.others().forEach(o -> others.add(new Other(floating, o.name(), ComparableOutputs.of(o))));
            samples.ifPresent(own -> run(networks, floating, own, batch, others));
        } finally {
            others.forEach(Other::close);
        }
        int own = samples.map(BoundSamples::count).orElse(0);
        int count = rounds.isAlone() ? own : exchange(own, others, rounds);
        return others.stream().map(o -> o.distance(count)).toList();
    }

    private static void run(
            Networks networks, ComparableOutputs floating, BoundSamples samples, int batch, List<Other> others) {
        try (WholeModel f = WholeModel.asWritten(networks.floating().name(), floating.bytes());
                Batches batches = samples.batches(batch)) {
            while (batches.hasNext()) {
                if (Thread.currentThread().isInterrupted()) {
                    throw new CancelledException("cancelled: the thread was interrupted while outputs were compared");
                }
                List<HostTensor> values = batches.next();
                Map<String, HostTensor> inputs = networks.otherInputs().apply(values);
                Map<String, HostTensor> reference = f.run(networks.floatInputs().apply(values));
                others.forEach(o -> o.add(reference, inputs, batches.samples()));
            }
        }
    }

    /** Makes what was compared that of all participants; gives how many samples all have. */
    private static int exchange(int samples, List<Other> others, Rounds rounds) {
        List<Integer> counts = new ArrayList<>();
        rounds.gather(
                "outputs",
                out -> {
                    out.writeInt(samples);
                    for (Other other : others) {
                        other.write(out);
                    }
                },
                all -> {
                    for (DataInputStream in : all) {
                        counts.add(in.readInt());
                    }
                    for (Other other : others) {
                        other.take(all);
                    }
                });
        return counts.stream().mapToInt(c -> c).sum();
    }

    /** A network that is compared with the float network. */
    private static final class Other implements AutoCloseable {
        private final ComparableOutputs floating;
        private final ComparableOutputs own;
        private final WholeModel model;
        /** By the output's position in the float model. */
        private final Map<Integer, OutputComparison> compared = new TreeMap<>();

        private final Map<Integer, String> obstacles = new TreeMap<>();

        Other(ComparableOutputs floating, String name, ComparableOutputs own) {
            this.floating = floating;
            this.own = own;
            this.model = WholeModel.asWritten(name, own.bytes());
        }

        void add(Map<String, HostTensor> reference, Map<String, HostTensor> inputs, int samples) {
            Map<String, HostTensor> outputs = model.run(inputs);
            for (int i = 0; i < floating.names().size(); i++) {
                String name = floating.names().get(i);
                Optional<Integer> at = position(i);
                if (at.isEmpty()) {
                    obstacles.putIfAbsent(
                            i, "output '" + name + "' is not among the quantised model's outputs " + own.names());
                    continue;
                }
                HostTensor expected = reference.get(floating.tensors().get(i));
                HostTensor found = outputs.get(own.tensors().get(at.get()));
                Optional<String> obstacle = obstacle(name, expected, found);
                if (obstacle.isPresent()) {
                    obstacles.putIfAbsent(i, obstacle.get());
                } else {
                    compared.computeIfAbsent(i, k -> new OutputComparison(name)).add(expected, found, samples);
                }
            }
        }

        /** The position of the output that belongs to one of the float model's: by name, or in order where as many. */
        private Optional<Integer> position(int output) {
            if (own.names().containsAll(floating.names())) {
                return Optional.of(own.names().indexOf(floating.names().get(output)));
            }
            return own.names().size() == floating.names().size() ? Optional.of(output) : Optional.empty();
        }

        private static Optional<String> obstacle(String name, HostTensor expected, HostTensor found) {
            if (expected.type() != ElementType.FLOAT || found.type() != ElementType.FLOAT) {
                return Optional.of("output '" + name + "' is " + expected.type()
                        + (found.type() == expected.type()
                                ? ""
                                : " in the float model, " + found.type() + " in the quantised")
                        + ": distances are measured of FLOAT outputs");
            }
            if (!Arrays.equals(expected.shape(), found.shape())) {
                return Optional.of("output '" + name + "' is " + Shape.text(expected.shape())
                        + " for one of the networks and " + Shape.text(found.shape()) + " for another");
            }
            return expected.elements() == 0
                    ? Optional.of("output '" + name + "' is empty " + Shape.text(expected.shape()))
                    : Optional.empty();
        }

        void write(DataOutput out) throws IOException {
            out.writeInt(compared.size());
            for (Map.Entry<Integer, OutputComparison> entry : compared.entrySet()) {
                out.writeInt(entry.getKey());
                entry.getValue().write(out);
            }
            out.writeInt(obstacles.size());
            for (Map.Entry<Integer, String> entry : obstacles.entrySet()) {
                out.writeInt(entry.getKey());
                out.writeUTF(entry.getValue());
            }
        }

        /** Is of all that was written from now on. */
        void take(List<? extends DataInput> all) throws IOException {
            compared.clear();
            for (DataInput in : all) {
                for (int left = in.readInt(); left > 0; left--) {
                    int output = in.readInt();
                    String name = floating.names().get(output);
                    compared.computeIfAbsent(output, k -> new OutputComparison(name))
                            .add(in);
                }
                for (int left = in.readInt(); left > 0; left--) {
                    obstacles.putIfAbsent(in.readInt(), in.readUTF());
                }
            }
        }

        NetworkDistance distance(int samples) {
            obstacles.keySet().forEach(compared::remove);
            return new NetworkDistance(
                    samples,
                    compared.values().stream().map(OutputComparison::result).toList(),
                    List.copyOf(obstacles.values()),
                    relative());
        }

        private List<Double> relative() {
            List<double[]> all =
                    compared.values().stream().map(OutputComparison::relative).toList();
            // An output whose axis 0 does not count samples has one entry for a run, others may have more.
            int n = all.stream().mapToInt(c -> c.length).min().orElse(0);
            double[] sums = new double[n];
            for (double[] errors : all) {
                for (int i = 0; i < errors.length; i++) {
                    sums[(int) ((long) i * n / errors.length)] += errors[i] * n / errors.length;
                }
            }
            return Arrays.stream(sums).boxed().toList();
        }

        @Override
        public void close() {
            model.close();
        }
    }
}
