package dev.rebias.device.cpu;

import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.Optional;

/** A layer's correction, once its mean errors are known, and what it leaves of them. */
final class Solution {
    private final CpuContext context;
    private final double[] bias;
    private final float[] steps;
    private Optional<double[]> delta = Optional.empty();
    private Optional<Tensor> correctedBias = Optional.empty();

    Solution(CpuContext context, double[] bias, float[] steps) {
        this.context = context;
        this.bias = bias.clone();
        this.steps = steps.clone();
    }

    void solve(double[] meanErrors) {
        double[] d = new double[bias.length];
        for (int c = 0; c < d.length; c++) {
            // A float bias holds b + delta rounded; delta is what it really moves by.
            d[c] = steps.length == 0
                    ? (float) (bias[c] + meanErrors[c]) - bias[c]
                    : Math.rint(meanErrors[c] / steps[c]) * steps[c];
        }
        delta = Optional.of(d);
    }

    double[] delta() {
        return delta.orElseThrow(() -> new IllegalStateException("a measurement is used before it was solved"));
    }

    float[] rounded() {
        double[] d = delta();
        float[] rounded = new float[d.length];
        for (int c = 0; c < d.length; c++) {
            rounded[c] = (float) d[c];
        }
        return rounded;
    }

    /**
     * What the errors were and what is left of them, from statistics of each channel.
     *
     * @param means of e
     * @param variances of e; below 0 by rounding only
     * @param referenceMeans of y_f
     * @param powers the mean of y_f^2
     * @param squaredSampleMeans the sum over samples of (mean of e within the sample)^2, where statistics of single channels are wanted
     */
    Moments moments(
            long samples,
            double[] means,
            double[] variances,
            double[] referenceMeans,
            double[] powers,
            Optional<double[]> squaredSampleMeans) {
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
                Optional.of(new Moments.Errors(mseBefore, mseAfter, squaredBias, signalPower)),
                squaredSampleMeans.map(sums -> new Moments.PerChannel(
                        means,
                        referenceMeans,
                        Arrays.stream(sums).map(s -> s / samples).toArray())));
    }

    Tensor correctedBias(long... shape) {
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

    void close() {
        correctedBias.ifPresent(Tensor::close);
    }
}
