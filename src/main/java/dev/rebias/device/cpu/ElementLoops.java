package dev.rebias.device.cpu;

import dev.rebias.device.ElementwiseProgram.Code;
import java.util.EnumSet;
import java.util.Set;

/**
 * The instructions of elementwise programs as loops over tiles, each with one array to write to: what a JIT compiler turns into vector instructions, JDK 17's included.
 * The functions that would need a call for each element are left to ONNX Runtime.
 */
final class ElementLoops {
    private static final Set<Code> CALLS =
            EnumSet.of(Code.ERF, Code.EXP, Code.LOG, Code.SIGMOID, Code.SOFTPLUS, Code.TANH, Code.POW, Code.ELU);

    private ElementLoops() {}

    static boolean has(Code code) {
        return !CALLS.contains(code);
    }

    /** Executes one instruction on n elements. */
    static void run(Code code, float[][] arguments, float[] out, int n) {
        float[] x = arguments[0];
        switch (code) {
            case ABS -> abs(x, out, n);
            case CEIL -> ceil(x, out, n);
            case FLOOR -> floor(x, out, n);
            case HARD_SWISH -> hardSwish(x, out, n);
            case NEG -> negate(x, out, n);
            case RECIPROCAL -> reciprocal(x, out, n);
            case RELU -> relu(x, out, n);
            case ROUND -> round(x, out, n);
            case SOFTSIGN -> softsign(x, out, n);
            case SQRT -> squareRoot(x, out, n);
            case ADD -> add(x, arguments[1], out, n);
            case SUB -> subtract(x, arguments[1], out, n);
            case MUL -> multiply(x, arguments[1], out, n);
            case DIV -> divide(x, arguments[1], out, n);
            case PRELU -> slope(x, arguments[1], out, n);
            case CLIP -> clip(x, arguments[1], arguments[2], out, n);
            case HARD_SIGMOID -> hardSigmoid(x, arguments[1], arguments[2], out, n);
            case SCALE_SHIFT -> scaleShift(x, arguments[1], arguments[2], out, n);
            case DEQUANTIZE -> dequantize(x, arguments[1], arguments[2], out, n);
            case SUM, MAX, MIN -> fold(code, arguments, out, n);
            default -> throw new IllegalArgumentException(code + " has no loop");
        }
    }

    private static void fold(Code code, float[][] arguments, float[] out, int n) {
        float[] all = arguments[0];
        if (arguments.length == 1) {
            System.arraycopy(all, 0, out, 0, n);
        }
        for (int i = 1; i < arguments.length; i++) {
            switch (code) {
                case SUM -> add(all, arguments[i], out, n);
                case MAX -> maximum(all, arguments[i], out, n);
                default -> minimum(all, arguments[i], out, n);
            }
            all = out;
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
            out[i] = v * Math.max(0f, Math.min(1f, v * (1f / 6f) + 0.5f));
        }
    }

    private static void negate(float[] x, float[] out, int n) {
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

    private static void add(float[] x, float[] y, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            out[i] = x[i] + y[i];
        }
    }

    private static void subtract(float[] x, float[] y, float[] out, int n) {
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

    private static void maximum(float[] x, float[] y, float[] out, int n) {
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

    private static void scaleShift(float[] x, float[] a, float[] b, float[] out, int n) {
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
