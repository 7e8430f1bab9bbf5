package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.tensor.ElementType;

/**
 * QuantizeLinear to UINT8 or INT8: {@code saturate(round(x / scale) + zero)}, rounding the exact quotient half to even
 * (ONNX operator specification). Pixels that were scaled to floats often lie half way between two steps, where the
 * rounding of a float32 quotient, not its value, would decide for whole areas of an image.
 *
 * <p>With one scale the loop is free of branches, so that it becomes vector instructions. It finds k = floor(x / scale)
 * but for errors near whole numbers, which do no harm, and then decides by the remainder d = x - k scale: up where d is
 * more than half a scale, or equal to it and k odd. A fused multiply-add gives the remainder exactly where it is about
 * half a scale: x and k scale are whole multiples of the last place of scale / 2, and so is their difference.
 */
final class Quantizer {
    /** Adding and subtracting this rounds a float below 2^22 to a whole number, half to even. */
    private static final float WHOLE = 0x1.8p23f;

    /** Scales within these bounds leave room for the products below; others are done in double precision. */
    private static final float SMALLEST = 0x1p-60f;

    private static final float LARGEST = 0x1p60f;

    private final double low;
    private final double high;

    /** The loop of one instruction: x, scale, zero point, and an array to work with. */
    static ElementLoops.Loop loop(Instruction instruction) {
        Quantizer quantizer = new Quantizer(instruction.type());
        boolean one = instruction.arguments().subList(1, 3).stream()
                .allMatch(v -> v.source() == ElementwiseProgram.Value.Source.CONSTANT);
        return one
                ? (a, out, n) -> quantizer.run(a[0], a[1][0], a[2][0], a[3], out, n)
                : (a, out, n) -> quantizer.run(a[0], a[1], a[2], out, n);
    }

    Quantizer(ElementType type) {
        low = type == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        high = type == ElementType.UINT8 ? 255 : Byte.MAX_VALUE;
    }

    /** Quantises n elements with one scale and zero point each. */
    void run(float[] x, float[] scale, float[] zero, float[] out, int n) {
        for (int i = 0; i < n; i++) {
            double q = Math.rint(x[i] / (double) scale[i]) + zero[i];
            out[i] = (float) Math.max(low, Math.min(high, q));
        }
    }

    /** Quantises n elements with the same scale and zero point. */
    void run(float[] x, float scale, float zero, float[] work, float[] out, int n) {
        if (!(scale >= SMALLEST && scale <= LARGEST)) {
            for (int i = 0; i < n; i++) {
                out[i] = (float) Math.max(low, Math.min(high, Math.rint(x[i] / (double) scale) + zero));
            }
            return;
        }
        floors(x, work, out, n, (float) ((low - zero) * scale), (float) ((high - zero) * scale), 1f / scale);
        // Less than any remainder's distance from half a scale, and still enough to lift a tie over it.
        float tie = scale * 0x1p-30f;
        round(work, out, n, scale, scale / 2, tie, zero);
    }

    /** Clips x, and gives k; a loop of its own, for the two together need more constants than there are registers. */
    private static void floors(
            float[] x, float[] clipped, float[] k, int n, float lowest, float highest, float inverse) {
        for (int i = 0; i < n; i++) {
            float v = Math.max(lowest, Math.min(highest, x[i]));
            clipped[i] = v;
            k[i] = (Math.fma(v, inverse, -0.5f) + WHOLE) - WHOLE;
        }
    }

    /** From k in out to the result. */
    private static void round(float[] x, float[] out, int n, float scale, float half, float tie, float zero) {
        for (int i = 0; i < n; i++) {
            float k = out[i];
            float beyond = Math.fma(-k, scale, x[i]) - half;
            float even = Math.fma(k, 0.5f, WHOLE) - WHOLE;
            float odd = Math.abs(Math.fma(-2, even, k));
            // Never zero, so its sign decides.
            float side = Math.fma(tie, odd - 0.5f, beyond);
            out[i] = Math.fma(0.5f, side / Math.abs(side), k + (zero + 0.5f));
        }
    }
}
