package dev.rebias.model;

import ai.onnxruntime.OrtSession;
import dev.rebias.error.UnsupportedException;
import dev.rebias.runtime.WholeModel;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Whether a model gives samples that go through together what it gives each on its own. Networks that were traced with
 * one sample and then declared to take many do not: a batch of 1 is written into a Reshape, or all samples are taken
 * for the positions of one. Where the operations alone do not answer that ({@link BatchedOperations}), two samples go
 * through together and one by one, in ONNX Runtime.
 */
public final class SampleIndependence {
    /** Float kernels round differently for other batch sizes, by some 1e-6 of the signal. */
    private static final double OF_FLOATS = 1e-3;

    /** Behind quantisers a value on a rounding boundary becomes a whole step. */
    private static final double OF_STEPS = 0.1;

    private SampleIndependence() {}

    /**
     * What stands in the way of batches.
     *
     * @param graph the model's, as it was read
     * @param tensors further tensors of the file at which to compare, besides the model's outputs; those that no node
     *     of the file makes are passed over
     * @param quantized whether values are quantised on their way
     * @param together the model's inputs for two samples at once
     * @param alone the same for each sample on its own
     * @return the start of a sentence, or empty where samples are independent, or the model does not run on one sample
     *     at all
     */
    public static Optional<String> obstacle(
            OnnxModel model,
            Graph graph,
            List<String> tensors,
            boolean quantized,
            Map<String, HostTensor> together,
            List<Map<String, HostTensor>> alone) {
        if (BatchedOperations.keepSamplesApart(graph)) {
            return Optional.empty();
        }
        List<String> compared =
                tensors.stream().filter(t -> ProbedModel.has(model, t)).toList();
        byte[] probed = ProbedModel.withOutputs(model, compared);
        try (WholeModel whole = new WholeModel(model.name(), probed, OrtSession.SessionOptions.OptLevel.NO_OPT)) {
            List<Map<String, HostTensor>> single = new ArrayList<>();
            try {
                alone.forEach(inputs -> single.add(whole.run(inputs)));
            } catch (UnsupportedException notEvenOne) {
                // Whoever runs it next will say why.
                return Optional.empty();
            }
            Map<String, HostTensor> both;
            try {
                both = whole.run(together);
            } catch (UnsupportedException e) {
                return Optional.of(
                        "'" + model.name() + "' runs on one sample at a time only, a batch of 1 is written into it");
            }
            List<String> order = new ArrayList<>(compared);
            both.keySet().stream().filter(t -> !order.contains(t)).forEach(order::add);
            double tolerance = quantized ? OF_STEPS : OF_FLOATS;
            for (String tensor : order) {
                List<HostTensor> parts = single.stream().map(s -> s.get(tensor)).toList();
                if (!areParts(parts, both.get(tensor), tolerance)) {
                    return Optional.of("in '" + model.name()
                            + "' the samples of a batch influence each other, as tensor '" + tensor + "' shows");
                }
            }
            return Optional.empty();
        }
    }

    /** Whether a tensor is these, one behind the other along axis 0. */
    private static boolean areParts(List<HostTensor> parts, HostTensor whole, double tolerance) {
        // A tensor without an axis of samples is the same for one sample and for two.
        if (parts.stream().allMatch(p -> p.bytes().equals(whole.bytes()))) {
            return true;
        }
        long entries = 0;
        for (HostTensor part : parts) {
            if (part.rank() == 0 || whole.rank() != part.rank() || !Arrays.equals(sample(part), sample(whole))) {
                return false;
            }
            entries += part.shape()[0];
        }
        if (entries != whole.shape()[0]) {
            return false;
        }
        double squares = 0;
        double difference = 0;
        int at = 0;
        for (HostTensor part : parts) {
            int n = Math.toIntExact(Shape.elements(part.shape()));
            for (int i = 0; i < n; i++, at++) {
                double one = part.number(i);
                double d = whole.number(at) - one;
                squares += one * one;
                difference += d * d;
            }
        }
        return !(difference > tolerance * tolerance * squares);
    }

    private static long[] sample(HostTensor tensor) {
        long[] shape = tensor.shape();
        return Arrays.copyOfRange(shape, 1, shape.length);
    }
}
