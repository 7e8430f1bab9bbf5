package dev.rebias.device.cpu;

import dev.rebias.device.Measurement;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.op.BiasGrid;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** What all measurements have: a layer's biases, its correction once the mean errors are known, and what that leaves of the errors. */
abstract class CpuMeasurement implements Measurement {
    private final CpuContext context;
    private final double[] bias;
    private final double[] referenceBias;
    private final BiasGrid grid;
    private final List<Integer> kept = new ArrayList<>();
    private final double[] squaredSampleMeans;
    private long samples;
    private Optional<double[]> delta = Optional.empty();
    private Optional<Tensor> correctedBias = Optional.empty();

    /** Parameters as for {@link dev.rebias.device.Device#errorMoments}. */
    CpuMeasurement(CpuContext context, double[] bias, double[] referenceBias, BiasGrid grid) {
        this.context = context;
        this.bias = bias.clone();
        this.referenceBias = referenceBias.clone();
        this.grid = grid;
        this.squaredSampleMeans = new double[bias.length];
    }

    final CpuContext context() {
        return context;
    }

    final int channels() {
        return bias.length;
    }

    final double referenceBias(int c) {
        return referenceBias[c];
    }

    /** The error that the biases make: b_f - b_q. */
    final double biasError(int c) {
        return referenceBias[c] - bias[c];
    }

    /**
     * Into how many units of work, equally large, a batch falls whose sums are formed on their own.
     *
     * @param entries of axis 0, which may hold several per sample; where they are no multiple of the batch, they do not belong to samples one by one
     */
    static int units(long entries, int samples) {
        return entries % samples == 0 ? samples : 1;
    }

    /** Counts samples. */
    final void count(long more) {
        samples += more;
    }

    /**
     * Adds to the statistics of samples.
     *
     * @param meanErrors of each channel, in one unit of a batch
     * @param weight how many samples the unit stands for
     */
    final void addSample(double[] meanErrors, double weight) {
        for (int c = 0; c < meanErrors.length; c++) {
            squaredSampleMeans[c] += meanErrors[c] * meanErrors[c] * weight;
        }
    }

    final void solve(double[] meanErrors) {
        double[] d = new double[bias.length];
        for (int c = 0; c < d.length; c++) {
            d[c] = grid.correction(c, bias[c], meanErrors[c]);
            if (Double.isInfinite(d[c])) {
                kept.add(c);
                d[c] = 0;
            }
        }
        delta = Optional.of(d);
    }

    private double[] delta() {
        return delta.orElseThrow(() -> new IllegalStateException("a measurement is used before it was solved"));
    }

    private float[] rounded() {
        double[] d = delta();
        float[] rounded = new float[d.length];
        for (int c = 0; c < d.length; c++) {
            rounded[c] = (float) d[c];
        }
        return rounded;
    }

    /** The correction, where only mean errors were measured. */
    final Moments moments() {
        return new Moments(samples, rounded(), kept, Optional.empty(), Optional.empty());
    }

    /**
     * What the errors were and what is left of them, from statistics of each channel.
     *
     * @param means of e
     * @param variances of e; below 0 by rounding only
     * @param referenceMeans of y_f
     * @param powers the mean of y_f^2
     * @param perChannel whether statistics of single channels are wanted, those of samples among them
     */
    final Moments moments(
            double[] means, double[] variances, double[] referenceMeans, double[] powers, boolean perChannel) {
        double[] d = delta();
        int channels = d.length;
        double mseBefore = 0;
        double mseAfter = 0;
        double squaredBias = 0;
        double signalPower = 0;
        for (int c = 0; c < channels; c++) {
            // Not a number stays one.
            double variance = variances[c] < 0 ? 0 : variances[c];
            double left = means[c] - d[c];
            mseBefore += (variance + means[c] * means[c]) / channels;
            // E[e^2] - 2 delta E[e] + delta^2 written like this is the same in exact arithmetic, and never negative in
            // this one.
            mseAfter += (variance + left * left) / channels;
            squaredBias += means[c] * means[c] / channels;
            signalPower += powers[c] / channels;
        }
        return new Moments(
                samples,
                rounded(),
                kept,
                Optional.of(new Moments.Errors(mseBefore, mseAfter, squaredBias, signalPower)),
                perChannel
                        ? Optional.of(new Moments.PerChannel(
                                means,
                                referenceMeans,
                                Arrays.stream(squaredSampleMeans)
                                        .map(s -> s / samples)
                                        .toArray()))
                        : Optional.empty());
    }

    @Override
    public final Tensor correctedBias(long... shape) {
        if (correctedBias.isEmpty()) {
            double[] d = delta();
            HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
            for (int c = 0; c < d.length; c++) {
                corrected.floats().put(c, (float) (bias[c] + d[c]));
            }
            correctedBias = Optional.of(CpuDevice.upload(context, corrected));
        }
        return correctedBias.get();
    }

    @Override
    public void close() {
        correctedBias.ifPresent(Tensor::close);
    }
}
