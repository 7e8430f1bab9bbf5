package dev.rebias.measure;

import dev.rebias.device.Device;
import dev.rebias.device.Tensor;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import java.io.DataInput;
import java.io.DataOutput;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * By the second moments of the layer's unfolded input, from which {@link Rerounding} chooses new weights. What it tells
 * follows once these are chosen.
 */
final class UnfoldedFilling implements Filling.OfErrors {
    private final boolean joint;
    private final UnfoldedSums sums;
    private long samples;
    private Optional<Rerounding.Effect> effect = Optional.empty();
    private boolean better;

    UnfoldedFilling(Device device, WeightError weights, boolean joint) {
        this.joint = joint;
        this.sums = device.unfoldedSums(weights, joint);
    }

    @Override
    public Set<Role> roles() {
        return Set.of(joint ? Role.INPUTS : Role.INPUT);
    }

    @Override
    public void add(Role role, List<Tensor> tensors, int batch, int itsSamples) {
        sums.add(tensors, batch, itsSamples);
    }

    /** The sums; nothing is left of them here, for they are large. */
    UnfoldedTotals take() {
        UnfoldedTotals own = sums.totals();
        sums.close();
        samples = own.samples();
        return own;
    }

    /** What the weights that were chosen do to the errors, and whether they are taken. */
    void is(Rerounding.Effect chosen, boolean taken) {
        effect = Optional.of(chosen);
        better = taken;
    }

    Rerounding.Effect effect() {
        return effect.orElseThrow(
                () -> new IllegalStateException("a measurement is used before its weights were chosen"));
    }

    @Override
    public void bring() {
        // The sums were brought when the weights were chosen.
    }

    @Override
    public void finish() {
        // Likewise.
    }

    @Override
    public void write(DataOutput out) {
        throw new IllegalStateException("products of every two inputs are not exchanged");
    }

    @Override
    public void take(List<? extends DataInput> parts) {
        throw new IllegalStateException("products of every two inputs are not exchanged");
    }

    @Override
    public long samples() {
        return samples;
    }

    @Override
    public double[] meanErrors() {
        return (better ? effect().meansAfter() : effect().meansBefore()).clone();
    }

    @Override
    public Statistics statistics() {
        return better ? effect().after() : effect().before();
    }

    @Override
    public void close() {
        sums.close();
    }
}
