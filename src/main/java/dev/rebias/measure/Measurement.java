package dev.rebias.measure;

import dev.rebias.device.Device;
import dev.rebias.device.Method;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ShapeRules;
import dev.rebias.op.WeightGrid;
import dev.rebias.rounding.Parallel;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is measured of a layer while samples go by, and the correction that follows from it. Where the device lets
 * several threads work, several may add batches at once; everything else is for one thread.
 */
public final class Measurement implements AutoCloseable {
    private final Device device;
    private final WeightError weights;
    private final Biases biases;
    /** The first tells the mean errors. */
    private final List<Filling> fillings = new ArrayList<>();

    /** The shapes of the first batch's inputs. */
    private final Map<Role, long[]> firstInputs = new EnumMap<>(Role.class);

    private boolean finished;
    private final List<Integer> kept = new ArrayList<>();
    /** The mean errors, once they are known, and the correction that follows. */
    private Optional<double[]> meanErrors = Optional.empty();

    private Optional<double[]> delta = Optional.empty();
    private Optional<Tensor> correctedBias = Optional.empty();

    /**
     * Nothing measured yet.
     *
     * @param methods how it is filled; where several are, the first tells the mean errors, and the one that tells how
     *     large errors are does that
     * @param joint whether the float layer has an input of its own (reference {@code network})
     * @param perSample whether statistics of samples are wanted: the standard errors of single channels
     */
    public Measurement(
            Device device, WeightError weights, Biases biases, List<Method> methods, boolean joint, boolean perSample) {
        this.device = device;
        this.weights = weights;
        this.biases = biases;
        try {
            for (Method method : methods) {
                fillings.add(
                        switch (method) {
                            case ERRORS -> ErrorFilling.ofOutputs(device, weights, biases.channels(), joint, perSample);
                            case ERRORS_OF_INPUT ->
                                ErrorFilling.ofInput(device, weights, biases.channels(), joint, perSample);
                            case CLASS_SUMS -> new ClassFilling(device, weights, joint);
                            case GRAM, JOINT_GRAM ->
                                new GramFilling(device, weights, biases.channels(), joint, perSample);
                            case UNFOLDED -> new UnfoldedFilling(device, weights, joint);
                        });
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /**
     * Adds a batch.
     *
     * @param role which of the layer's tensors these are
     * @param tensors as the role says; they stay the caller's to close
     * @param batch the batch's number, from 0, by which inputs of both networks are known that come at different times
     * @param samples how many samples lie in the batch, along axis 0
     * @throws UnsupportedException if the tensors do not fit the layer, or each other
     */
    public void add(Role role, List<Tensor> tensors, int batch, int samples) {
        switch (role) {
            case INPUT -> requireInput(tensors.get(0));
            case REFERENCE_INPUT -> requireInput(tensors.get(0), ElementType.FLOAT);
            case INPUTS -> {
                requireInput(tensors.get(1));
                requireInput(tensors.get(0), ElementType.FLOAT);
                requireAlike("inputs", tensors.get(1).shape(), tensors.get(0).shape());
            }
            case OUTPUTS ->
                requireAlike("outputs", tensors.get(1).shape(), tensors.get(0).shape());
            case OUTPUT_AND_INPUT -> {
                requireInput(tensors.get(1));
                long[] output = weights.op().outputShape(tensors.get(1).shape(), weights.shape());
                requireAlike("outputs", output, tensors.get(0).shape());
            }
        }
        if (batch == 0 && (role == Role.INPUT || role == Role.REFERENCE_INPUT)) {
            requireSameInputs(role, tensors.get(0).shape());
        }
        for (Filling filling : fillings) {
            if (filling.roles().contains(role)) {
                filling.add(role, tensors, batch, samples);
            }
        }
    }

    /** What only measures a layer's data is as particular about them as the layer. */
    private void requireInput(Tensor data) {
        requireInput(data, weights.dataType().orElse(ElementType.FLOAT));
    }

    private void requireInput(Tensor data, ElementType type) {
        if (Shape.elements(data.shape()) == 0) {
            throw new UnsupportedException("it is given data of shape " + Shape.text(data.shape())
                    + ", which have no element: there is no error to measure");
        }
        ShapeRules.checkLayer(
                weights.op(),
                type,
                data.type(),
                data.shape(),
                weights.shape(),
                device.memory().mostTensorBytes());
    }

    /** Of inputs that come at different times, those of the first batch are held against each other. */
    private void requireSameInputs(Role role, long[] shape) {
        firstInputs.put(role, shape);
        if (firstInputs.size() == 2) {
            requireAlike("inputs", firstInputs.get(Role.INPUT), firstInputs.get(Role.REFERENCE_INPUT));
        }
    }

    private static void requireAlike(String what, long[] quantized, long[] floating) {
        if (!Arrays.equals(quantized, floating)) {
            throw new UnsupportedException("it has " + what + " of shape " + Shape.text(quantized) + ", but "
                    + Shape.text(floating) + " in the float model: the two models do not belong together");
        }
    }

    /**
     * Chooses the layer's weights anew; what follows is of the new ones. For a layer that is measured by
     * {@link Method#UNFOLDED}, once, before {@link #solve()}.
     *
     * @param grid the values that the weights can take
     * @param heldOut what was measured of the same layer on samples that the weights do not come from; where their
     *     errors do not get smaller, the old weights stay
     */
    public WeightChoice choose(WeightGrid grid, Optional<Measurement> heldOut, Parallel parallel) {
        UnfoldedFilling own = unfolded();
        Optional<UnfoldedFilling> others = heldOut.map(Measurement::unfolded);
        Rerounding.Chosen chosen =
                new Rerounding(weights, grid, parallel).choose(own.take(), others.map(UnfoldedFilling::take));
        double[] withBias = left(
                chosen.own().before(), chosen.own().meansBefore(), chosen.own().meansBefore());
        double[] withWeights = left(
                chosen.own().after(), chosen.own().meansAfter(), chosen.own().meansAfter());
        double heldOutBias = chosen.heldOut()
                .map(h -> mean(left(h.before(), h.meansBefore(), chosen.own().meansBefore())))
                .orElse(Double.NaN);
        double heldOutWeights = chosen.heldOut()
                .map(h -> mean(left(h.after(), h.meansAfter(), chosen.own().meansAfter())))
                .orElse(Double.NaN);
        boolean better = heldOut.isPresent() ? heldOutWeights < heldOutBias : mean(withWeights) < mean(withBias);
        own.is(chosen.own(), better);
        others.ifPresent(o -> o.is(chosen.heldOut().orElseThrow(), better));
        double[] old = grid.multiples();
        return new WeightChoice(
                better ? chosen.multiples() : old,
                better,
                better ? moved(old, chosen.multiples()) : 0,
                mean(withBias),
                heldOut.isPresent()
                        ? Optional.of(new WeightChoice.HeldOut(heldOutBias, heldOutWeights))
                        : Optional.empty());
    }

    private UnfoldedFilling unfolded() {
        return (UnfoldedFilling) fillings.get(0);
    }

    /** Each channel's mean square of the errors, with a correction that takes these means away. */
    private static double[] left(Filling.Statistics s, double[] means, double[] correction) {
        double[] left = new double[means.length];
        for (int c = 0; c < left.length; c++) {
            double mean = means[c] - correction[c];
            left[c] = Math.max(0, s.variances()[c]) + mean * mean;
        }
        return left;
    }

    private static double mean(double[] values) {
        return Arrays.stream(values).average().orElse(0);
    }

    private static double moved(double[] old, double[] multiples) {
        int moved = 0;
        for (int i = 0; i < old.length; i++) {
            moved += old[i] == multiples[i] ? 0 : 1;
        }
        return (double) moved / old.length;
    }

    /**
     * Begins to bring what was measured to the host, without waiting for it; nothing is added any more. Of several
     * measurements all are on their way then before the first is waited for.
     */
    public void bring() {
        fillings.forEach(Filling::bring);
    }

    /** Waits for what was measured. */
    private void finish() {
        if (!finished) {
            bring();
            fillings.forEach(Filling::finish);
            finished = true;
        }
    }

    /**
     * Writes what was measured, for {@link #take}; nothing is added any more. Sums as they are, and of a layer measured
     * by its Gram matrix the variances that follow from it. Not for a layer whose weights are chosen anew.
     *
     * @throws IOException if the output fails
     */
    public void write(DataOutput out) throws IOException {
        finish();
        for (Filling filling : fillings) {
            filling.write(out);
        }
    }

    /**
     * Is of all parts' samples from now on. As far as the tensors that were measured do not depend on that, it does not
     * matter which samples were measured where: for mean errors not a bit where sums are exact, which those of integers
     * are everywhere, and by rounding errors of doubles where a card sums up floats. Variances that follow from Gram
     * matrices are merged in double precision from such that are products of floats. Before {@link #solve()}.
     *
     * @param parts what measurements of the same layer, filled in the same way, have written
     * @throws IOException if they were filled otherwise, or an input fails
     */
    public void take(List<? extends DataInput> parts) throws IOException {
        for (Filling filling : fillings) {
            filling.take(parts);
        }
    }

    /**
     * Turns what was measured into the correction: delta[c] = mean e, rounded to what the bias can hold: whole steps,
     * or the difference of two floats. Call once.
     */
    public void solve() {
        finish();
        double[] means = fillings.get(0).meanErrors();
        double[] d = new double[means.length];
        for (int c = 0; c < d.length; c++) {
            means[c] += biases.error(c);
            d[c] = biases.grid().correction(c, biases.quantized()[c], means[c]);
            if (Double.isInfinite(d[c])) {
                kept.add(c);
                d[c] = 0;
            }
        }
        meanErrors = Optional.of(means);
        delta = Optional.of(d);
    }

    private double[] meanErrors() {
        return meanErrors.orElseThrow();
    }

    private double[] delta() {
        return delta.orElseThrow(() -> new IllegalStateException("a measurement is used before it was solved"));
    }

    /**
     * The bias with the correction in it, bias[c] + delta[c], as FLOAT on the device. Only after {@link #solve()}.
     *
     * @param shape the shape it takes to broadcast along the channels of the layer's output: [channels, 1, ..]
     * @return a tensor that lives as long as this measurement does
     */
    public Tensor correctedBias(long... shape) {
        if (correctedBias.isEmpty()) {
            double[] d = delta();
            HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
            for (int c = 0; c < d.length; c++) {
                corrected.floats().put(c, (float) (biases.quantized()[c] + d[c]));
            }
            correctedBias = Optional.of(device.upload(corrected));
        }
        return correctedBias.get();
    }

    /**
     * The results. Only after {@link #solve()}.
     *
     * @param perChannel whether also statistics of single channels are wanted
     */
    public Moments read(boolean perChannel) {
        double[] d = delta();
        float[] rounded = new float[d.length];
        for (int c = 0; c < d.length; c++) {
            rounded[c] = (float) d[c];
        }
        return read(perChannel, rounded, d);
    }

    /**
     * The results under a correction that was made of other samples. Only after {@link #solve()}.
     *
     * @param perChannel as above
     * @param other that correction
     */
    public Moments read(boolean perChannel, float[] other) {
        double[] d = new double[other.length];
        for (int c = 0; c < d.length; c++) {
            d[c] = other[c];
        }
        return read(perChannel, other.clone(), d);
    }

    private Moments read(boolean perChannel, float[] rounded, double[] d) {
        Optional<Filling.Statistics> statistics = fillings.stream()
                .filter(Filling.OfErrors.class::isInstance)
                .map(f -> ((Filling.OfErrors) f).statistics())
                .findFirst();
        double[] means = meanErrors();
        Optional<Moments.Errors> errors = statistics.map(s -> errors(s, means, d));
        boolean chosen = fillings.get(0) instanceof UnfoldedFilling;
        return new Moments(
                fillings.get(0).samples(),
                rounded,
                kept,
                chosen ? errors.map(this::fromOldWeights) : errors,
                perChannel && !chosen ? statistics.map(s -> perChannel(s, means)) : Optional.empty());
    }

    /** What the errors were before also the weights were chosen anew. */
    private Moments.Errors fromOldWeights(Moments.Errors after) {
        Rerounding.Effect effect = unfolded().effect();
        double[] means = effect.meansBefore().clone();
        for (int c = 0; c < means.length; c++) {
            means[c] += biases.error(c);
        }
        Moments.Errors before = errors(effect.before(), means, new double[means.length]);
        return new Moments.Errors(before.mseBefore(), after.mseAfter(), before.squaredBias(), before.signalPower());
    }

    private Moments.Errors errors(Filling.Statistics s, double[] means, double[] d) {
        int channels = d.length;
        double mseBefore = 0;
        double mseAfter = 0;
        double squaredBias = 0;
        double signalPower = 0;
        for (int c = 0; c < channels; c++) {
            // Not a number stays one.
            double variance = s.variances()[c] < 0 ? 0 : s.variances()[c];
            double left = means[c] - d[c];
            double bias = biases.reference()[c];
            mseBefore += (variance + means[c] * means[c]) / channels;
            // E[e^2] - 2 delta E[e] + delta^2 written like this is the same in exact arithmetic, and never negative in
            // this one.
            mseAfter += (variance + left * left) / channels;
            squaredBias += means[c] * means[c] / channels;
            signalPower += (s.referenceSquares()[c] + 2 * bias * s.referenceMeans()[c] + bias * bias) / channels;
        }
        return new Moments.Errors(mseBefore, mseAfter, squaredBias, signalPower);
    }

    private Moments.PerChannel perChannel(Filling.Statistics s, double[] means) {
        double[] references = new double[means.length];
        double[] squaredSampleMeans = new double[means.length];
        for (int c = 0; c < means.length; c++) {
            references[c] = s.referenceMeans()[c] + biases.reference()[c];
            // The mean of (m + b)^2, where b is the same for all samples.
            double error = biases.error(c);
            squaredSampleMeans[c] = s.squaredSampleMeans()[c] + error * (2 * means[c] - error);
        }
        return new Moments.PerChannel(means, references, squaredSampleMeans);
    }

    /** Frees what is left on the device. */
    @Override
    public void close() {
        Resources all = new Resources();
        fillings.forEach(f -> all.add(f::close));
        correctedBias.ifPresent(t -> all.add(t::close));
        all.close();
    }
}
