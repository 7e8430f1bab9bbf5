package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Operand;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.error.CancelledException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Biases;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.WeightChoice;
import dev.rebias.model.LayerPair;
import dev.rebias.op.WeightGrid;
import dev.rebias.rounding.Parallel;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a sweep measures of each layer, and the corrections that follow at the layer's barrier: its corrected bias and,
 * where its weights are chosen anew, these. Several threads at once may add batches, and ask for {@link #biases} and
 * {@link #choosesWeightsOf}; what changes corrections is for the thread that makes the sweep, while no batch is at
 * work.
 */
final class Corrections implements AutoCloseable {
    private final Plan plan;
    private final Device device;
    private final CorrectionSpec spec;
    private final Profile profile;
    private final BarrierExchange exchanges;
    private final List<Measurement> measurements = new ArrayList<>();
    /** The same for the samples that are held out; empty where none are. */
    private final List<Measurement> heldOut = new ArrayList<>();
    /** How many batches have samples that corrections come from; those behind them are held out, if any are. */
    private int correcting;

    /** The operands that stand for weights which are chosen anew, and what takes their place once these are chosen. */
    private final Set<HostTensor> standIns = Collections.newSetFromMap(new IdentityHashMap<>());

    private final IdentityHashMap<HostTensor, HostTensor> adjusted = new IdentityHashMap<>();
    /** What became of such weights, by layer. */
    private final Map<Integer, WeightChoice> choices = new HashMap<>();
    /** The moments of the layers that were solved by a rule, by layer; and their biases, which are ours to close. */
    private final Map<Integer, LayerMoments> ruled = new HashMap<>();

    private final List<Tensor> ruledBiases = new ArrayList<>();
    /** Corrected biases, by the plan's number of the tensor: null for every other, and until they are known. */
    private final Tensor[] biases;

    /** Nothing measured yet. */
    Corrections(Plan plan, Device device, CorrectionSpec spec, Profile profile) {
        this.plan = plan;
        this.device = device;
        this.spec = spec;
        this.profile = profile;
        this.exchanges = new BarrierExchange(plan, spec.rounds());
        this.biases = new Tensor[plan.tensors()];
        plan.measured().forEach(m -> m.adjusted().ifPresent(standIns::add));
        try {
            measureEach(measurements, spec.perChannel());
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void measureEach(List<Measurement> all, boolean perSample) {
        for (int i = 0; i < plan.layers().size(); i++) {
            LayerPair pair = plan.layers().get(i);
            Plan.Measured measured = plan.measured().get(i);
            all.add(new Measurement(
                    device,
                    measured.weights(),
                    new Biases(
                            pair.quantized().bias(),
                            pair.floating().bias(),
                            spec.grids().get(i)),
                    measured.methods(),
                    plan.reference() == Reference.NETWORK,
                    perSample));
        }
    }

    /** Measures batches from that number on apart: corrections do not come from their samples. */
    void holdOutFrom(int batch) {
        correcting = batch;
        measureEach(heldOut, false);
    }

    /**
     * Makes sure that all participants measure alike.
     *
     * @throws UnsupportedException if they do not
     */
    void agree() {
        exchanges.agree(spec.perChannel(), !heldOut.isEmpty());
    }

    /**
     * Adds a batch to what is measured of a layer.
     *
     * @param tensors the batch's, by number
     * @param samples how many samples lie in the batch
     * @throws UnsupportedException if the tensors do not fit the layer, or each other
     */
    void add(Step.Measure step, Tensor[] tensors, int batch, int samples) {
        boolean apart = !heldOut.isEmpty() && batch >= correcting;
        Measurement measurement = (apart ? heldOut : measurements).get(step.layer());
        List<Tensor> measured = step.tensors().stream().map(t -> tensors[t]).toList();
        long start = System.nanoTime();
        try {
            measurement.add(step.role(), measured, apart ? batch - correcting : batch, samples);
        } catch (UnsupportedException e) {
            throw new UnsupportedException("layer '" + name(step.layer()) + "': " + e.getMessage(), e);
        }
        long bytes = measured.stream().mapToLong(Tensor::bytes).sum();
        String work = step.role() == Role.OUTPUTS ? "error sums" : "input sums";
        profile.add(work, System.nanoTime() - start, bytes, 0);
    }

    /** Whether an operation's weights are chosen anew: it can be prepared once they are. */
    boolean choosesWeightsOf(Step.Run run) {
        return run.operands().stream().anyMatch(o -> o instanceof Operand.Constant c && standIns.contains(c.value()));
    }

    /** The same operation with the weights that were chosen. */
    Step.Run withWeights(Step.Run run) {
        return run.with(adjusted);
    }

    /** The corrected biases that are known, which are the same for all batches, by the tensor's number. */
    Tensor[] biases() {
        return biases;
    }

    /** At the barrier behind a segment, makes what each participant has measured what all have. */
    void exchange(int segment) {
        long start = System.nanoTime();
        exchanges.merge(segment, solved -> measured(solved.layer()));
        profile.spent("exchanging sums", start);
    }

    /**
     * Finds the corrections of the barrier behind a segment; what was measured of all its layers is on its way to the
     * host before the first is waited for.
     *
     * @throws CancelledException if the thread is interrupted: the layer at work is ended, and no other begins
     */
    void solve(int segment, Parallel parallel) {
        List<Plan.Solved> all = plan.segments().get(segment).solved();
        all.forEach(solved -> measured(solved.layer()).forEach(Measurement::bring));
        for (Plan.Solved solved : all) {
            CancelledException.throwIfInterrupted(Thread.currentThread());
            choose(solved.layer(), parallel);
        }
        long start = System.nanoTime();
        for (Plan.Solved solved : all) {
            CancelledException.throwIfInterrupted(Thread.currentThread());
            solve(solved);
        }
        profile.spent("solving", start);
    }

    /** A layer's measurements: first the one that its correction comes from. */
    private List<Measurement> measured(int layer) {
        Measurement own = measurements.get(layer);
        return heldOut.isEmpty() ? List.of(own) : List.of(own, heldOut.get(layer));
    }

    private Optional<Measurement> heldOut(int layer) {
        return heldOut.isEmpty() ? Optional.empty() : Optional.of(heldOut.get(layer));
    }

    /** Chooses a layer's weights, where they are chosen anew. */
    private void choose(int layer, Parallel parallel) {
        Optional<HostTensor> standIn = plan.measured().get(layer).adjusted();
        if (standIn.isEmpty()) {
            return;
        }
        long start = System.nanoTime();
        WeightGrid grid = spec.weightGrids().get(layer);
        WeightChoice choice = measurements.get(layer).choose(grid, heldOut(layer), parallel);
        choices.put(layer, choice);
        adjusted.put(standIn.get(), choice.adjusted() ? multiplied(layer, grid, choice) : standIn.get());
        profile.spent("choosing weights", start);
    }

    /** What the layer's own step multiplies its data by from now on. */
    private HostTensor multiplied(int layer, WeightGrid grid, WeightChoice choice) {
        boolean integers = plan.layers().get(layer).quantized().integers().isPresent();
        double[] multiples = choice.multiples();
        float[] values = new float[multiples.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (integers ? multiples[i] : multiples[i] * grid.step(i));
        }
        return HostTensor.of(values, plan.measured().get(layer).weights().shape());
    }

    private void solve(Plan.Solved solved) {
        int layer = solved.layer();
        measured(layer).forEach(Measurement::solve);
        long[] shape = plan.layers().get(layer).quantized().biasShape();
        if (spec.rule().isPresent()) {
            LayerMoments measured = read(layer);
            float[] delta =
                    spec.rule().get().correction(layer, measured, spec.grids().get(layer));
            ruled.put(layer, measured.corrected(delta));
            if (solved.bias() >= 0) {
                biases[solved.bias()] = biased(layer, delta, shape);
            }
        } else if (solved.bias() >= 0) {
            biases[solved.bias()] = measurements.get(layer).correctedBias(shape);
        }
    }

    private Tensor biased(int layer, float[] delta, long[] shape) {
        double[] bias = plan.layers().get(layer).quantized().bias();
        HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
        for (int c = 0; c < delta.length; c++) {
            corrected.floats().put(c, (float) (bias[c] + delta[c]));
        }
        Tensor tensor = device.upload(corrected);
        ruledBiases.add(tensor);
        return tensor;
    }

    /**
     * What was measured of each layer, in the plan's order, and its correction; all barriers must have been passed.
     *
     * @throws UnsupportedException if a layer's outputs were not finite
     */
    List<LayerMoments> read(Parallel parallel) {
        long start = System.nanoTime();
        LayerMoments[] all = new LayerMoments[measurements.size()];
        parallel.forEach(all.length, i -> all[i] = ruled.containsKey(i) ? ruled.get(i) : read(i));
        profile.spent("reading moments", start);
        for (int i = 0; i < all.length; i++) {
            requireFinite(i, all[i].moments());
        }
        return List.of(all);
    }

    private LayerMoments read(int layer) {
        Moments own = kept(measurements.get(layer).read(spec.perChannel()));
        return new LayerMoments(
                own,
                heldOut(layer).map(held -> kept(held.read(spec.perChannel(), own.delta()))),
                Optional.ofNullable(choices.get(layer)));
    }

    private Moments kept(Moments m) {
        return plan.errors() ? m : m.withoutErrors();
    }

    private void requireFinite(int layer, Moments m) {
        for (int c = 0; c < m.channels(); c++) {
            if (!Float.isFinite(m.delta()[c])) {
                throw notFinite(layer, "channel " + c, m.delta()[c]);
            }
        }
        if (m.errors().isPresent() && !Double.isFinite(m.measured().mseBefore())) {
            throw notFinite(layer, "mean squared error", m.measured().mseBefore());
        }
    }

    private UnsupportedException notFinite(int layer, String what, double value) {
        return new UnsupportedException("layer '" + name(layer) + "', " + what
                + ": its outputs on these samples are not finite (" + value
                + "): check the models' weights and the samples' scale");
    }

    private String name(int layer) {
        return plan.layers().get(layer).name();
    }

    /** Frees what was measured and the corrected biases. */
    @Override
    public void close() {
        Resources all = new Resources();
        measurements.forEach(m -> all.add(m::close));
        heldOut.forEach(m -> all.add(m::close));
        ruledBiases.forEach(t -> all.add(t::close));
        all.close();
    }
}
