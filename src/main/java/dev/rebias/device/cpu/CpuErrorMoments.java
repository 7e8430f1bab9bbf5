package dev.rebias.device.cpu;

import dev.rebias.device.ErrorMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Error moments in Java loops: one pass over error and output. A sample is one unit of work: its sums are formed on their own, in memory
 * order, by whichever core is free, and then added to the totals in sample order; so neither threads nor batch sizes change a bit.
 */
final class CpuErrorMoments implements ErrorMoments {
    /** Per channel and sample: sum e, sum e^2, sum y_f, sum y_f^2. */
    private static final int SUMS = 4;

    private final CpuDevice device;
    private final int channels;
    private final double[] bias;
    private final double[] referenceBias;
    private final float[] steps;
    private final double[][] totals;
    private final double[] squaredSampleMeans;
    private long samples;
    private long count;
    private Optional<double[]> delta = Optional.empty();
    private Optional<Tensor> correctedBias = Optional.empty();

    CpuErrorMoments(CpuDevice device, double[] bias, double[] referenceBias, float[] steps) {
        this.device = device;
        this.bias = bias.clone();
        this.referenceBias = referenceBias.clone();
        this.channels = bias.length;
        this.steps = steps.clone();
        this.totals = new double[SUMS][channels];
        this.squaredSampleMeans = new double[channels];
    }

    @Override
    public void addError(Tensor error, Tensor output, int channelAxis, int batch) {
        add(error, output, channelAxis, batch, false);
    }

    @Override
    public void addOutputs(Tensor reference, Tensor output, int channelAxis, int batch) {
        add(reference, output, channelAxis, batch, true);
    }

    private void add(Tensor first, Tensor output, int channelAxis, int batch, boolean difference) {
        long[] shape = output.shape();
        if (!Arrays.equals(first.shape(), shape) || shape[channelAxis] != channels) {
            throw new IllegalArgumentException("error moments over " + channels + " channels along axis " + channelAxis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        // Axis 0 may hold several rows per sample; where it is no multiple of the batch, its rows do not belong to
        // samples one by one.
        int rows = Math.toIntExact(shape[0]);
        int units = channelAxis > 0 && rows % batch == 0 ? batch : 1;
        int outer = Math.toIntExact(Shape.elements(shape, 0, channelAxis)) / units;
        int inner = Math.toIntExact(Shape.elements(shape, channelAxis + 1, shape.length));
        FloatBuffer a = ((CpuTensor) first).floats();
        FloatBuffer q = ((CpuTensor) output).floats();
        double[][][] parts = new double[units][][];
        IntStream.range(0, units)
                .parallel()
                .forEach(unit -> parts[unit] = sums(a, q, unit * outer, outer, inner, difference));
        long positions = (long) outer * inner;
        for (double[][] part : parts) {
            for (int c = 0; c < channels; c++) {
                for (int s = 0; s < SUMS; s++) {
                    totals[s][c] += part[s][c];
                }
                double mean = part[0][c] / positions;
                squaredSampleMeans[c] += mean * mean * batch / units;
            }
        }
        samples += batch;
        count += positions * units;
    }

    /** The sums of one sample: rows [first, first + outer) of channels x inner values. */
    private double[][] sums(FloatBuffer a, FloatBuffer q, int first, int outer, int inner, boolean difference) {
        double[][] sums = new double[SUMS][channels];
        float[] x = new float[inner];
        float[] y = new float[inner];
        for (int row = first; row < first + outer; row++) {
            for (int c = 0; c < channels; c++) {
                int at = (row * channels + c) * inner;
                a.get(at, x);
                q.get(at, y);
                double shift = referenceBias[c] - bias[c];
                double b = referenceBias[c];
                double e1 = 0;
                double e2 = 0;
                double f1 = 0;
                double f2 = 0;
                for (int i = 0; i < inner; i++) {
                    double sum = difference ? x[i] : (double) x[i] + y[i];
                    double e = (difference ? (double) x[i] - y[i] : x[i]) + shift;
                    double f = sum + b;
                    e1 += e;
                    e2 += e * e;
                    f1 += f;
                    f2 += f * f;
                }
                sums[0][c] += e1;
                sums[1][c] += e2;
                sums[2][c] += f1;
                sums[3][c] += f2;
            }
        }
        return sums;
    }

    @Override
    public void solve() {
        double[] d = new double[channels];
        for (int c = 0; c < channels; c++) {
            double mean = totals[0][c] / count;
            // A float bias holds b + delta rounded; delta is what it really moves by.
            d[c] = steps.length == 0 ? (float) (bias[c] + mean) - bias[c] : Math.rint(mean / steps[c]) * steps[c];
        }
        delta = Optional.of(d);
    }

    private double[] solved() {
        return delta.orElseThrow(() -> new IllegalStateException("error moments are used before they were solved"));
    }

    @Override
    public Tensor correctedBias(long... shape) {
        if (correctedBias.isEmpty()) {
            double[] d = solved();
            HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
            for (int c = 0; c < channels; c++) {
                corrected.floats().put(c, (float) (bias[c] + d[c]));
            }
            correctedBias = Optional.of(device.upload(corrected));
        }
        return correctedBias.get();
    }

    @Override
    public Moments read(boolean perChannel) {
        double[] d = solved();
        double mseBefore = 0;
        double mseAfter = 0;
        double squaredBias = 0;
        double signalPower = 0;
        double[] meanError = new double[channels];
        double[] meanReference = new double[channels];
        double[] sampleMeans = new double[channels];
        float[] rounded = new float[channels];
        for (int c = 0; c < channels; c++) {
            double mean = totals[0][c] / count;
            double squares = totals[1][c] / count;
            mseBefore += squares / channels;
            // Written as variance + (mean - delta)^2: the same in exact arithmetic, and never negative in this one.
            mseAfter += (Math.max(0, squares - mean * mean) + (mean - d[c]) * (mean - d[c])) / channels;
            squaredBias += mean * mean / channels;
            signalPower += totals[3][c] / count / channels;
            meanError[c] = mean;
            meanReference[c] = totals[2][c] / count;
            sampleMeans[c] = squaredSampleMeans[c] / samples;
            rounded[c] = (float) d[c];
        }
        return new Moments(
                samples,
                mseBefore,
                mseAfter,
                squaredBias,
                signalPower,
                rounded,
                perChannel
                        ? Optional.of(new Moments.PerChannel(meanError, meanReference, sampleMeans))
                        : Optional.empty());
    }

    @Override
    public void close() {
        correctedBias.ifPresent(Tensor::close);
    }
}
