package dev.rebias.device;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/**
 * Sums of x, the error of a layer without its biases, and of y, its float output without its bias: per channel the
 * means over samples and positions of x, x^2, y and y^2, and the mean over samples of (mean of x within the sample)^2.
 * Every sample has equal weight, whatever its size. Exact sums of what each sample contributes, so totals that are
 * merged are those of all samples.
 */
public final class ErrorTotals {
    /** The sums of a unit of samples: of x, x^2, y and y^2. */
    public static final int SUMS = 4;

    private final int channels;
    private final boolean perSample;
    /** By the number of positions that a unit of samples has. */
    private final Map<Long, Form> forms = new TreeMap<>();

    private long samples;

    /**
     * Per channel and sum what all units add up to, and then the squared means; how many units, and how many samples.
     */
    private static final class Form {
        private final ExactSums sums;
        private long units;
        private long samples;

        Form(int channels) {
            sums = new ExactSums((SUMS + 1) * channels);
        }
    }

    /**
     * Of no samples.
     *
     * @param perSample whether the means within samples are wanted; without them {@link #squaredSampleMeans} is not a
     *     number
     */
    public ErrorTotals(int channels, boolean perSample) {
        this.channels = channels;
        this.perSample = perSample;
    }

    /**
     * Into how many units of work, equally large, a batch falls whose sums are formed on their own.
     *
     * @param entries of axis 0, which may hold several per sample; where they are no multiple of the batch, they do not
     *     belong to samples one by one
     */
    public static int units(long entries, int samples) {
        return entries % samples == 0 ? samples : 1;
    }

    /**
     * Adds a batch.
     *
     * @param units for each unit of work, and each of the {@link #SUMS}, the sum of every channel
     * @param positions that a unit has
     * @param batchSamples how many samples the units are
     */
    public void add(double[][][] units, long positions, int batchSamples) {
        Form form = form(positions);
        double weight = (double) batchSamples / units.length;
        double[] squares = new double[perSample ? channels : 0];
        for (double[][] unit : units) {
            for (int s = 0; s < SUMS; s++) {
                form.sums.add(s * channels, unit[s]);
            }
            for (int c = 0; c < squares.length; c++) {
                double mean = unit[0][c] / positions;
                squares[c] = mean * mean * weight;
            }
            form.sums.add(SUMS * channels, squares);
        }
        form.units += units.length;
        form.samples += batchSamples;
        samples += batchSamples;
    }

    /**
     * Adds what has been summed up elsewhere.
     *
     * @param sums [SUMS + 1, channels]: the sums, and the squared means times the samples that each stands for
     */
    public void add(double[] sums, long positions, long units, long itsSamples) {
        Form form = form(positions);
        form.sums.add(0, sums);
        form.units += units;
        form.samples += itsSamples;
        samples += itsSamples;
    }

    /**
     * Writes them, with nothing rounded.
     *
     * @throws IOException if the output fails
     */
    public void write(DataOutput out) throws IOException {
        out.writeLong(samples);
        out.writeInt(forms.size());
        for (Map.Entry<Long, Form> entry : forms.entrySet()) {
            out.writeLong(entry.getKey());
            out.writeLong(entry.getValue().units);
            out.writeLong(entry.getValue().samples);
            entry.getValue().sums.write(out);
        }
    }

    /**
     * Adds totals of other samples that were {@linkplain #write written}.
     *
     * @throws IOException if they are of another layer, or the input fails
     */
    public void add(DataInput in) throws IOException {
        samples += in.readLong();
        for (int left = in.readInt(); left > 0; left--) {
            Form form = form(in.readLong());
            form.units += in.readLong();
            form.samples += in.readLong();
            form.sums.add(in);
        }
    }

    private Form form(long positions) {
        return forms.computeIfAbsent(positions, p -> new Form(channels));
    }

    /** How many samples there were. */
    public long samples() {
        return samples;
    }

    /**
     * The mean over samples and positions.
     *
     * @param sum 0 for x, 1 for x^2, 2 for y, 3 for y^2
     */
    public double mean(int sum, int channel) {
        double mean = 0;
        for (Map.Entry<Long, Form> entry : forms.entrySet()) {
            Form form = entry.getValue();
            double own = form.sums.get(sum * channels + channel) / ((double) entry.getKey() * form.units);
            mean += own * ((double) form.samples / samples);
        }
        return mean;
    }

    /** The sum over all positions; parameters as for {@link #mean}. */
    public double sum(int sum, int channel) {
        double all = 0;
        for (Form form : forms.values()) {
            all += form.sums.get(sum * channels + channel);
        }
        return all;
    }

    /** The mean over samples of (mean of x within the sample)^2; not a number where that was not wanted. */
    public double squaredSampleMeans(int channel) {
        if (!perSample) {
            return Double.NaN;
        }
        return sum(SUMS, channel) / samples;
    }
}
