package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** A segment's operations, prepared on a device. Several threads may run it at once, each on a batch of its own. */
final class PreparedSegment implements AutoCloseable {
    private final Plan.Segment segment;
    private final Device device;
    private final Corrections corrections;
    private final Profile profile;
    /** For each step, its operation; empty where it has none, or its weights are not chosen yet. */
    private final List<Optional<PreparedStep>> prepared = new ArrayList<>();

    private final Set<Integer> uses = new HashSet<>();

    /**
     * Prepares all steps but those whose weights are chosen anew.
     *
     * @throws UnsupportedException if the device cannot run one
     */
    PreparedSegment(Plan.Segment segment, Device device, Corrections corrections, Profile profile) {
        this.segment = segment;
        this.device = device;
        this.corrections = corrections;
        this.profile = profile;
        try {
            for (Step step : segment.steps()) {
                uses.addAll(step.uses());
                if (step instanceof Step.Run run && !corrections.choosesWeightsOf(run)) {
                    prepared.add(Optional.of(prepare(run)));
                } else {
                    prepared.add(Optional.empty());
                }
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private PreparedStep prepare(Step.Run run) {
        return new PreparedStep(device, run, profile);
    }

    /** Prepares the steps whose weights are chosen anew; once they are, and before the first batch. */
    void prepareAdjusted() {
        for (int i = 0; i < prepared.size(); i++) {
            if (prepared.get(i).isEmpty() && segment.steps().get(i) instanceof Step.Run run) {
                prepared.set(i, Optional.of(prepare(corrections.withWeights(run))));
            }
        }
    }

    /** The numbers of the tensors that its steps use. */
    Set<Integer> uses() {
        return uses;
    }

    /**
     * Runs its steps on a batch and frees what nothing uses after them.
     *
     * @param tensors the batch's, by number: those that steps use, and places for those that they make
     * @param batch the batch's number
     * @param samples how many samples lie in it
     */
    void run(Tensor[] tensors, int batch, int samples) {
        for (int i = 0; i < segment.steps().size(); i++) {
            if (segment.steps().get(i) instanceof Step.Measure measure) {
                corrections.add(measure, tensors, batch, samples);
            } else {
                prepared.get(i).orElseThrow().run(tensors, corrections.biases());
            }
            for (int released : segment.releases().get(i)) {
                tensors[released].close();
                tensors[released] = null;
            }
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        prepared.forEach(p -> p.ifPresent(step -> all.add(step::close)));
        all.close();
    }
}
