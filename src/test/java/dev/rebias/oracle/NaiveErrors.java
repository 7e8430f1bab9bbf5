package dev.rebias.oracle;

import dev.rebias.device.WeightError;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;

/**
 * Every single error of a pointwise layer on 8-bit integers, and every output of its float counterpart, in double
 * precision; and what these add up to.
 */
final class NaiveErrors {
    /** Per channel: sum e, sum e^2, the sum of squared means of e within samples, sum y_f. */
    private final double[] sums;

    private final double[] squares;
    private final double[] squaredSampleMeans;
    private final double[] referenceSums;
    private double powers;
    private long count;
    private int samples;

    private NaiveErrors(int channels) {
        sums = new double[channels];
        squares = new double[channels];
        squaredSampleMeans = new double[channels];
        referenceSums = new double[channels];
    }

    /**
     * Computes them.
     *
     * @param floating batches of the float layer's data, FLOAT [N, C, H, W]
     * @param quantized batches of the quantised layer's, of the same shapes
     */
    static NaiveErrors of(
            WeightError weights,
            double[] bias,
            double[] referenceBias,
            List<HostTensor> floating,
            List<HostTensor> quantized) {
        NaiveErrors errors = new NaiveErrors(bias.length);
        for (int b = 0; b < quantized.size(); b++) {
            errors.add(weights, bias, referenceBias, floating.get(b), quantized.get(b));
        }
        return errors;
    }

    private void add(WeightError weights, double[] bias, double[] referenceBias, HostTensor x, HostTensor q) {
        int in = (int) weights.shape()[1];
        int inner = (int) (q.shape()[2] * q.shape()[3]);
        for (int n = 0; n < q.shape()[0]; n++) {
            double[] own = new double[channels()];
            for (int p = 0; p < inner; p++) {
                for (int c = 0; c < channels(); c++) {
                    double reference = referenceBias[c];
                    double output = bias[c];
                    for (int i = 0; i < in; i++) {
                        int at = (n * in + i) * inner + p;
                        double right = weights.reference()[c * in + i];
                        reference += right / weights.scale() * x.floats().get(at);
                        output += (right - weights.difference()[c * in + i]) * (integer(q, at) - weights.zero());
                    }
                    own[c] += (reference - output) / inner;
                    sums[c] += reference - output;
                    squares[c] += (reference - output) * (reference - output);
                    referenceSums[c] += reference;
                    powers += reference * reference;
                }
            }
            for (int c = 0; c < channels(); c++) {
                squaredSampleMeans[c] += own[c] * own[c];
            }
            count += inner;
            samples++;
        }
    }

    /** An 8-bit integer of a tensor. */
    static int integer(HostTensor q, int at) {
        byte stored = q.bytes().get(at);
        return q.type() == ElementType.UINT8 ? Byte.toUnsignedInt(stored) : stored;
    }

    int channels() {
        return sums.length;
    }

    int samples() {
        return samples;
    }

    /** E[e]. */
    double mean(int c) {
        return sums[c] / count;
    }

    /** E[e^2]. */
    double square(int c) {
        return squares[c] / count;
    }

    /** E[y_f]. */
    double referenceMean(int c) {
        return referenceSums[c] / count;
    }

    /** The mean over samples of (mean of e within the sample)^2. */
    double squaredSampleMean(int c) {
        return squaredSampleMeans[c] / samples;
    }

    /** The mean over channels of E[y_f^2]. */
    double power() {
        return powers / count / channels();
    }

    /** The mean over channels of E[e^2]. */
    double mseBefore() {
        double mean = 0;
        for (int c = 0; c < channels(); c++) {
            mean += square(c) / channels();
        }
        return mean;
    }

    /** The correction of a float bias: by how much it really moves. */
    double delta(int c, double[] bias) {
        return (float) (bias[c] + mean(c)) - bias[c];
    }

    /** The mean over channels of E[e^2] - 2 delta E[e] + delta^2. */
    double mseAfter(double[] bias) {
        double mean = 0;
        for (int c = 0; c < channels(); c++) {
            double d = delta(c, bias);
            mean += (square(c) - 2 * d * mean(c) + d * d) / channels();
        }
        return mean;
    }

    /** The mean over channels of E[e]^2. */
    double squaredBias() {
        double mean = 0;
        for (int c = 0; c < channels(); c++) {
            mean += mean(c) * mean(c) / channels();
        }
        return mean;
    }
}
