package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.Graph;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.SampleIndependence;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.sweep.Plan;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Optional;

/**
 * How many samples go through the networks at a time: as many as the model fixes; one, where those of a batch would
 * influence each other; or else as many as suit the device.
 *
 * @param wanted the most that a batch may have
 * @param obstacle what stands in the way of batches, if anything does
 */
record Batching(String model, BoundSamples samples, Optional<Integer> fixed, Optional<String> obstacle, int wanted) {
    /** So that threads which share out batches end at about the same time. */
    private static final int BATCHES_PER_THREAD = 4;

    /**
     * Looks at models and samples; where operations do not tell whether samples are independent, two of them go through
     * both networks.
     */
    static Batching of(
            NetworkInputs inputs,
            OnnxModel floatModel,
            Graph floating,
            OnnxModel quantizedModel,
            List<LayerPair> layers,
            BoundSamples samples,
            int wanted) {
        String name = quantizedModel.name();
        Optional<Integer> fixed = inputs.fixedBatch(samples);
        if (fixed.isPresent() || wanted == 1 || samples.count() == 1) {
            return new Batching(name, samples, fixed, Optional.empty(), wanted);
        }
        Optional<Two> found = Two.of(samples);
        if (found.isEmpty()) {
            return new Batching(name, samples, fixed, Optional.empty(), wanted);
        }
        Two two = found.get();
        List<String> floatLayers =
                layers.stream().map(p -> p.floating().fileOutput()).toList();
        List<String> quantizedLayers =
                layers.stream().map(p -> p.quantized().fileOutput()).toList();
        Optional<String> obstacle = SampleIndependence.obstacle(
                        floatModel,
                        floating,
                        floatLayers,
                        false,
                        inputs.ofFloatFile(two.together()),
                        two.alone().stream().map(inputs::ofFloatFile).toList())
                .or(() -> SampleIndependence.obstacle(
                        quantizedModel,
                        inputs.quantized(),
                        quantizedLayers,
                        true,
                        inputs.ofQuantizedFile(two.together()),
                        two.alone().stream().map(inputs::ofQuantizedFile).toList()));
        return new Batching(name, samples, fixed, obstacle, wanted);
    }

    /** The first two samples of one shape, together and each on its own. */
    private record Two(List<HostTensor> together, List<List<HostTensor>> alone) {
        static Optional<Two> of(BoundSamples samples) {
            try (Batches pairs = samples.batches(2);
                    Batches single = samples.batches(1)) {
                while (pairs.hasNext()) {
                    List<HostTensor> together = pairs.next();
                    List<HostTensor> first = single.next();
                    if (pairs.samples() == 2) {
                        return Optional.of(new Two(together, List.of(first, single.next())));
                    }
                }
            }
            return Optional.empty();
        }
    }

    /** What the user should know: one sentence where there is something. */
    List<String> warnings() {
        return obstacle
                .map(o -> o + ": one sample at a time went through, which takes longer; "
                        + "export the networks with their batch kept apart (torch: x.flatten(1) instead of "
                        + "x.view(1, -1))")
                .stream()
                .toList();
    }

    /**
     * The batch size.
     *
     * @param count how many samples there will be
     * @throws UnsupportedException if the model fixes one that does not fit
     */
    int size(Plan plan, Device device, long count) {
        if (obstacle.isPresent()) {
            return 1;
        }
        if (fixed.isPresent()) {
            int batch = fixed.get();
            int present = samples.count();
            if (present % batch != 0) {
                throw new UnsupportedException("'" + model + "' fixes its batch at " + batch + ", and " + present
                        + " samples are no multiple of it: use `limit` " + present / batch * batch
                        + ", or make the model's batch dimension dynamic");
            }
            return batch;
        }
        try (Batches first = samples.batches(1)) {
            List<long[]> shapes = first.next().stream().map(HostTensor::shape).toList();
            int threads = device.batches().threads();
            // Where several threads take batches of their own, there should be a few for each.
            int shares = threads == 1 ? 1 : BATCHES_PER_THREAD * threads;
            int most =
                    device.batches().best((int) Math.min(wanted, ceilDiv(count, shares)), plan.meanOutputBytes(shapes));
            // As many batches for each, and of one size as far as that goes.
            long batches = ceilDiv(ceilDiv(count, most), threads) * threads;
            return Math.toIntExact(ceilDiv(count, batches));
        }
    }

    /** a / b, rounded up. */
    private static long ceilDiv(long a, long b) {
        return (a + b - 1) / b;
    }
}
