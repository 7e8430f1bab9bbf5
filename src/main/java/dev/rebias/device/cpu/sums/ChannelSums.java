package dev.rebias.device.cpu.sums;

import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * For each channel the sums of x, x^2, z and z^2, where z = x + sign y, of tensors that have their channels last: one
 * pass. What the elements are and how many there are decides alone how they are added, so equal samples have equal
 * sums.
 *
 * <p>Few elements are summed up in doubles, many in vectors of floats together with their rounding errors. Each of
 * those sums starts from a number that is larger than what will be added to it (ExtractVector: Rump, Ogita and Oishi,
 * "Accurate floating-point summation", 2008), found by looking at a few positions. Whether it was larger shows the sum
 * of squares that results; where it was not, that sum gives the number for a second try.
 */
final class ChannelSums {
    static final int SUMS = 4;

    /** From how many elements on they are summed up in vectors, if there are that many positions too. */
    private static final int MANY = 1 << 12;

    private static final int MANY_POSITIONS = 32;

    /**
     * How many sums of each kind are formed side by side then, if there are not more channels: so few that they and as
     * many elements stay in the nearest cache.
     */
    private static final int VECTOR_LANES = 512;

    /**
     * So many rows of them at most are added up before the sums are emptied: rounding errors' own rounding errors stay
     * small.
     */
    private static final int VECTOR_ROWS = 128;

    /** At so many positions we look how large the elements are. */
    private static final int PROBES = 4;

    /** How many times as large as these tell a sum of squares may be, and half of that is still good. */
    private static final float SPARE = 64;

    /** The same of a sum that is known. */
    private static final float SPARE_OF_KNOWN = 4;

    /** A channel in which we found nothing is taken for one that has this much of the others' mean. */
    private static final float LEAST = 0.25f;

    /** The same where all of a channel is known. */
    private static final float LEAST_OF_KNOWN = 0x1p-40f;

    /**
     * How much smaller than it may be a sum of squares may turn out: such a channel is nothing beside the others, and
     * bits that it loses do not count.
     */
    private static final double SMALLEST = 0x1p-34;

    /** Between these a sum of squares' rounding errors are floats, or it is nought. */
    private static final double TINIEST = 0x1p-80;

    private static final double LARGEST = 0x1p100;

    /** How many sums are formed side by side in doubles, at least where there are elements enough. */
    private static final int LANES = 64;

    /** How many elements are worked on together then: so few that they stay in a cache near by. */
    private static final int TILE = 2048;

    private final ThreadScratch scratch;
    private final int channels;
    private final FloatBuffer x;
    private final FloatBuffer y;
    private final float sign;

    /**
     * Of two tensors of one shape.
     *
     * @param sign 1 or -1
     */
    ChannelSums(ThreadScratch scratch, int channels, FloatBuffer x, FloatBuffer y, float sign) {
        this.scratch = scratch;
        this.channels = channels;
        this.x = x;
        this.y = y;
        this.sign = sign;
    }

    /** The sums of the elements [first, first + n). */
    double[][] of(int first, int n) {
        if (n < MANY || n / channels < MANY_POSITIONS) {
            return few(first, n);
        }
        int lanes = channels;
        while (2 * lanes <= VECTOR_LANES) {
            lanes *= 2;
        }
        int piece = lanes * VECTOR_ROWS;
        double[][] sums = many(first, Math.min(piece, n), lanes);
        for (int at = piece; at < n; at += piece) {
            double[][] of = many(first + at, Math.min(piece, n - at), lanes);
            for (int s = 0; s < SUMS; s++) {
                for (int c = 0; c < channels; c++) {
                    sums[s][c] += of[s][c];
                }
            }
        }
        return sums;
    }

    private double[][] many(int first, int n, int lanes) {
        float[][] t = scratch.tiles(6 + 3 * SUMS, lanes);
        // What each sum starts from; for sums of squares, also what they may be.
        float[][] start = Arrays.copyOfRange(t, 6, 6 + SUMS);
        int rows = (n + lanes - 1) / lanes;
        probe(first, n, start[1], start[3]);
        float times = SPARE * rows / PROBES;
        float least = LEAST;
        for (int attempt = 0; attempt < 2; attempt++) {
            if (!start(start[1], times, least, start[0], rows, lanes)
                    || !start(start[3], times, least, start[2], rows, lanes)) {
                break;
            }
            double[][] sums = vectors(first, n, lanes, start);
            float[] largest = t[4];
            float[] ofTotals = t[5];
            if (holds(start[1], largest, sums[0], sums[1], lanes)
                    && holds(start[3], ofTotals, sums[2], sums[3], lanes)) {
                return sums;
            }
            System.arraycopy(largest, 0, start[1], 0, channels);
            System.arraycopy(ofTotals, 0, start[3], 0, channels);
            times = SPARE_OF_KNOWN;
            least = LEAST_OF_KNOWN;
        }
        // Not finite, or not as a float, or sizes that differ too much.
        return few(first, n);
    }

    /** The sums of squares of x and z at a few positions. */
    private void probe(int first, int n, float[] squares, float[] ofTotals) {
        float[][] t = scratch.tiles(2, channels);
        Arrays.fill(squares, 0, channels, 0);
        Arrays.fill(ofTotals, 0, channels, 0);
        for (int p = 0; p < PROBES; p++) {
            // Away from the borders, which are often empty.
            int at = first + (2 * p + 1) * (n / channels) / (2 * PROBES) * channels;
            x.get(at, t[0], 0, channels);
            y.get(at, t[1], 0, channels);
            Accumulation.addRoughly(t[0], t[1], sign, squares, ofTotals, channels);
        }
    }

    /**
     * Makes of sums of squares what they may be, and of that what the sums start from: twice as much as that many
     * elements can add up to with such squares (Cauchy and Schwarz), so that no sum falls by more than half, which is
     * still more than any element.
     *
     * @return whether floats can hold these
     */
    private boolean start(float[] squares, float times, float least, float[] sums, int rows, int lanes) {
        double sum = sum(squares, channels);
        float added = (float) (sum * times * least / channels);
        if (!(sum * times <= LARGEST && (added >= TINIEST || sum == 0))) {
            return false;
        }
        for (int c = 0; c < channels; c++) {
            float limit = squares[c] * times + added;
            squares[c] = limit;
            sums[c] = 2 * (float) Math.sqrt(rows * limit);
        }
        for (float[] of : new float[][] {squares, sums}) {
            for (int to = channels; to < lanes; to *= 2) {
                System.arraycopy(of, 0, of, to, to);
            }
        }
        return true;
    }

    private static double sum(float[] values, int n) {
        double even = 0;
        double odd = 0;
        for (int i = 1; i < n; i += 2) {
            even += values[i - 1];
            odd += values[i];
        }
        return even + odd + (n % 2 == 0 ? 0 : values[n - 1]);
    }

    private static void widen(float[] high, float[] low, double[] to) {
        for (int c = 0; c < to.length; c++) {
            to[c] = (double) high[c] + low[c];
        }
    }

    /**
     * Whether no lane's sum of squares is larger than it may be, and no channel's too small; all of nought are fine.
     */
    private boolean holds(float[] limits, float[] largest, double[] sums, double[] squares, int lanes) {
        double smallest = SMALLEST * lanes / channels;
        boolean all = true;
        for (int c = 0; c < channels; c++) {
            all &= (sums[c] == 0 && squares[c] == 0)
                    || (squares[c] > 0 && largest[c] <= limits[c] / 2 && squares[c] >= limits[c] * smallest);
        }
        return all;
    }

    /** Leaves the largest of each channel's sums of squares of x and z behind the elements' arrays. */
    private double[][] vectors(int first, int n, int lanes, float[][] start) {
        float[][] t = scratch.tiles(6 + 3 * SUMS, lanes);
        float[][] high = Arrays.copyOfRange(t, 6 + SUMS, 6 + 2 * SUMS);
        float[][] low = Arrays.copyOfRange(t, 6 + 2 * SUMS, 6 + 3 * SUMS);
        for (int s = 0; s < SUMS; s++) {
            System.arraycopy(start[s], 0, high[s], 0, lanes);
            Arrays.fill(low[s], 0, lanes, 0);
        }
        for (int at = 0; at < n; at += 2 * lanes) {
            int width = Math.min(lanes, n - at);
            for (int row = 0; row < 2; row++) {
                int from = Math.min(n, at + row * lanes);
                load(x, first + from, t[2 * row], Math.min(lanes, n - from), width);
                load(y, first + from, t[2 * row + 1], Math.min(lanes, n - from), width);
            }
            Accumulation.addRows(t[0], t[2], high[0], low[0], width);
            Accumulation.addSquaresOfRows(t[0], t[2], high[1], low[1], width);
            Accumulation.twoSum(t[0], t[1], sign, t[4], width);
            Accumulation.twoSum(t[2], t[3], sign, t[5], width);
            Accumulation.addRows(t[1], t[4], t[3], t[5], high[2], low[2], width);
            Accumulation.addSquaresOfRows(t[1], t[4], t[3], t[5], high[3], low[3], width);
        }
        double[][] sums = new double[SUMS][channels];
        for (int s = 0; s < SUMS; s++) {
            ElementLoops.subtract(high[s], start[s], high[s], lanes);
            if (s % 2 == 1) {
                float[] largest = t[4 + s / 2];
                System.arraycopy(high[s], 0, largest, 0, lanes);
                for (int half = lanes / 2; half >= channels; half /= 2) {
                    System.arraycopy(largest, half, t[0], 0, half);
                    ElementLoops.maximum(largest, t[0], largest, half);
                }
            }
            for (int half = lanes / 2; half >= channels; half /= 2) {
                System.arraycopy(high[s], half, t[0], 0, half);
                System.arraycopy(low[s], half, t[1], 0, half);
                Accumulation.add(t[0], t[1], high[s], low[s], half);
            }
            widen(high[s], low[s], sums[s]);
        }
        return sums;
    }

    private double[][] few(int first, int n) {
        // Few elements are not worth many lanes, which must be cleared before and added up behind.
        int lanes = channels * Math.max(1, Math.min(LANES, n / 16) / channels);
        lanes += lanes % 2 * lanes;
        int tile = lanes * Math.max(1, TILE / lanes);
        float[][] t = scratch.tiles(2, tile);
        double[][] wide = scratch.wide(SUMS, lanes);
        for (int s = 0; s < SUMS; s++) {
            Arrays.fill(wide[s], 0, lanes, 0);
        }
        for (int at = 0; at < n; at += tile) {
            int size = Math.min(tile, n - at);
            int rows = (size + lanes - 1) / lanes;
            load(x, first + at, t[0], size, rows * lanes);
            load(y, first + at, t[1], size, rows * lanes);
            if (sign < 0) {
                ElementLoops.negate(t[1], t[1], size);
            }
            Accumulation.addSquares(t[0], t[1], rows, lanes, wide);
        }
        double[][] sums = new double[SUMS][channels];
        for (int s = 0; s < SUMS; s++) {
            for (int i = 0; i < lanes; i += channels) {
                for (int c = 0; c < channels; c++) {
                    sums[s][c] += wide[s][i + c];
                }
            }
        }
        return sums;
    }

    private static void load(FloatBuffer from, int first, float[] to, int n, int length) {
        from.get(first, to, 0, n);
        Arrays.fill(to, n, length, 0);
    }
}
