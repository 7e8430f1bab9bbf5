package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram.Code;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * The instructions of elementwise programs as loops over tiles, each with one array to write to: what a JIT compiler
 * turns into vector instructions, JDK 17's included. The functions that would need a call for each element are left to
 * ONNX Runtime.
 */
public final class ElementLoops {
    /**
     * One instruction's work on a tile. Each is compiled on its own, for the call goes through this interface: in one
     * large method with all of them compilers give up on vectors.
     */
    @FunctionalInterface
    public interface Loop {
        void run(float[][] arguments, float[] out, int n);
    }

    private static final Map<Code, Loop> LOOPS = new EnumMap<>(Map.ofEntries(
            Map.entry(Code.ABS, (a, out, n) -> abs(a[0], out, n)),
            Map.entry(Code.CEIL, (a, out, n) -> ceil(a[0], out, n)),
            Map.entry(Code.FLOOR, (a, out, n) -> floor(a[0], out, n)),
            Map.entry(Code.HARD_SWISH, (a, out, n) -> hardSwish(a[0], out, n)),
            Map.entry(Code.NEG, (a, out, n) -> negate(a[0], out, n)),
            Map.entry(Code.RECIPROCAL, (a, out, n) -> reciprocal(a[0], out, n)),
            Map.entry(Code.RELU, (a, out, n) -> relu(a[0], out, n)),
            Map.entry(Code.ROUND, (a, out, n) -> round(a[0], out, n)),
            Map.entry(Code.SOFTSIGN, (a, out, n) -> softsign(a[0], out, n)),
            Map.entry(Code.SQRT, (a, out, n) -> squareRoot(a[0], out, n)),
            Map.entry(Code.ADD, (a, out, n) -> add(a[0], a[1], out, n)),
            Map.entry(Code.SUB, (a, out, n) -> subtract(a[0], a[1], out, n)),
            Map.entry(Code.MUL, (a, out, n) -> multiply(a[0], a[1], out, n)),
            Map.entry(Code.DIV, (a, out, n) -> divide(a[0], a[1], out, n)),
            Map.entry(Code.PRELU, (a, out, n) -> slope(a[0], a[1], out, n)),
            Map.entry(Code.CLIP, (a, out, n) -> clip(a[0], a[1], a[2], out, n)),
            Map.entry(Code.HARD_SIGMOID, (a, out, n) -> hardSigmoid(a[0], a[1], a[2], out, n)),
            Map.entry(Code.SCALE_SHIFT, (a, out, n) -> scaleShift(a[0], a[1], a[2], out, n)),
            Map.entry(Code.DEQUANTIZE, (a, out, n) -> dequantize(a[0], a[1], a[2], out, n)),
            Map.entry(Code.SUM, folded((a, out, n) -> add(a[0], a[1], out, n))),
            Map.entry(Code.MAX, folded((a, out, n) -> maximum(a[0], a[1], out, n))),
            Map.entry(Code.MIN, folded((a, out, n) -> minimum(a[0], a[1], out, n)))));

    /** Eight bytes, of each the highest bit: the difference between q and q - 128, or q + 128. */
    public static final long HIGH_BITS = 0x8080808080808080L;

    private ElementLoops() {}

    /**
     * The loop of an instruction; empty for functions that need a call for each element, and for quantising, which is
     * the {@link Quantizer}'s.
     */
    static Optional<Loop> of(Code code) {
        return Optional.ofNullable(LOOPS.get(code));
    }

    /** Any number of arguments, two by two. */
    private static Loop folded(Loop two) {
        return (arguments, out, n) -> {
            float[] all = arguments[0];
            if (arguments.length == 1) {
                System.arraycopy(all, 0, out, 0, n);
            }
            for (int i = 1; i < arguments.length; i++) {
                two.run(new float[][] {all, arguments[i]}, out, n);
                all = out;
            }
        };
    }

    public static void shift(float[] x, float by, int n) {
        for (int i = 0; i < n; i++) {
            x[i] += by;
        }
    }

    /** Makes x - a y of x, rounded once. */
    public static void subtract(float[] x, float a, float[] y, int n) {
        for (int i = 0; i < n; i++) {
            x[i] = Math.fma(-a, y[i], x[i]);
        }
    }

    public static void addTo(int[] sums, int[] x, int n) {
        for (int i = 0; i < n; i++) {
            sums[i] += x[i];
        }
    }

    public static void addTo(double[] sums, double[] x, int n) {
        for (int i = 0; i < n; i++) {
            sums[i] += x[i];
        }
    }

    /**
     * Adds the bytes of words, their bits flipped, to sums of 16 bits: those in even places to some, in odd places to
     * others.
     */
    public static void addBytes(long[] x, long flipped, long[] even, long[] odd, int n) {
        for (int i = 0; i < n; i++) {
            long v = x[i] ^ flipped;
            even[i] += v & 0x00FF00FF00FF00FFL;
            odd[i] += v >>> 8 & 0x00FF00FF00FF00FFL;
        }
    }

    /** Flips the same bits of every word. */
    public static void flip(long[] x, long bits, int n) {
        for (int i = 0; i < n; i++) {
            x[i] ^= bits;
        }
    }

    private static void abs(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.abs(x[i]);
        }
    }

    private static void ceil(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = (float) Math.ceil(x[i]);
        }
    }

    private static void floor(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = (float) Math.floor(x[i]);
        }
    }

    private static void round(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = (float) Math.rint(x[i]);
        }
    }

    private static void hardSwish(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            float v = x[i];
            out[i] = v * Math.max(0f, Math.min(6f, v + 3f)) / 6f;
        }
    }

    public static void negate(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = -x[i];
        }
    }

    private static void reciprocal(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = 1f / x[i];
        }
    }

    private static void relu(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.max(x[i], 0f);
        }
    }

    private static void softsign(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] / (1f + Math.abs(x[i]));
        }
    }

    private static void squareRoot(float[] x, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = (float) Math.sqrt(x[i]);
        }
    }

    public static void add(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] + y[i];
        }
    }

    public static void subtract(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] - y[i];
        }
    }

    private static void multiply(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] * y[i];
        }
    }

    private static void divide(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] / y[i];
        }
    }

    public static void maximum(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.max(x[i], y[i]);
        }
    }

    private static void minimum(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.min(x[i], y[i]);
        }
    }

    private static void slope(float[] x, float[] slope, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.max(x[i], 0f) + slope[i] * Math.min(x[i], 0f);
        }
    }

    private static void clip(float[] x, float[] low, float[] high, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.min(Math.max(x[i], low[i]), high[i]);
        }
    }

    private static void hardSigmoid(float[] x, float[] alpha, float[] beta, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = Math.max(0f, Math.min(1f, alpha[i] * x[i] + beta[i]));
        }
    }

    static void scaleShift(float[] x, float[] a, float[] b, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] * a[i] + b[i];
        }
    }

    private static void dequantize(float[] x, float[] scale, float[] zero, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = (x[i] - zero[i]) * scale[i];
        }
    }
}
