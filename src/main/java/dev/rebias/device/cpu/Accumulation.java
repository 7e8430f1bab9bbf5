package dev.rebias.device.cpu;

/**
 * Sums of floats to some 48 bits, in loops that a JIT compiler turns into vector instructions: a sum is kept as the pair {@code high + low} of floats, and each addition's
 * rounding error is found by TwoSum (Knuth, "The Art of Computer Programming", volume 2, 4.2.2, theorem B) and added to {@code low}. Plain loops over doubles would take
 * twice as long, as JDK 17 does not vectorise the conversion.
 *
 * <p>Every array has a lane for each element of a tile, so neighbouring elements never wait for each other.
 */
final class Accumulation {
    private Accumulation() {}

    /** Adds x. */
    static void add(float[] x, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float s = h + v;
            float b = s - h;
            low[i] += (h - (s - b)) + (v - b);
            high[i] = s;
        }
    }

    /**
     * Adds x to the first sum and x^2 to the second; a product's own rounding error comes from a fused multiply-add.
     *
     * @param high1 and low1 the first sum
     * @param high2 and low2 the second
     */
    static void add(float[] x, float[] high1, float[] low1, float[] high2, float[] low2, int n) {
        for (int i = 0; i < n; i++) {
            float v = x[i];
            float h = high1[i];
            float s = h + v;
            float b = s - h;
            low1[i] += (h - (s - b)) + (v - b);
            high1[i] = s;
            float p = v * v;
            float error = Math.fma(v, v, -p);
            float g = high2[i];
            float t = g + p;
            float c = t - g;
            low2[i] += ((g - (t - c)) + (p - c)) + error;
            high2[i] = t;
        }
    }

    /**
     * Adds x + sign y; apart from {@link #addSquares}, for a loop with both is too large for compilers to unroll, and then to vectorise.
     *
     * @param sign 1 or -1
     */
    static void add(float[] x, float[] y, float sign, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float w = sign * y[i];
            float f = v + w;
            float c = f - v;
            float rest = (v - (f - c)) + (w - c);
            float s = h + f;
            float b = s - h;
            low[i] += ((h - (s - b)) + (f - b)) + rest;
            high[i] = s;
        }
    }

    /** Adds (x + sign y)^2. */
    static void addSquares(float[] x, float[] y, float sign, float[] high, float[] low, int n) {
        for (int i = 0; i < n; i++) {
            float h = high[i];
            float v = x[i];
            float w = sign * y[i];
            float f = v + w;
            float c = f - v;
            float rest = (v - (f - c)) + (w - c);
            float p = f * f;
            float error = Math.fma(f, f, -p) + 2 * f * rest;
            float s = h + p;
            float b = s - h;
            low[i] += ((h - (s - b)) + (p - b)) + error;
            high[i] = s;
        }
    }
}
