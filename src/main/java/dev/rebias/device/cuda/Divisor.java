package dev.rebias.device.cuda;

/**
 * A number that a kernel divides by with a multiplication: floor(n / d) = floor((floor(n * magic / 2^32) + n) /
 * 2^shift) for every n from 0 to 2^31 - 1, the sum in 32 bits without a sign (Granlund and Montgomery, "Division by
 * invariant integers using multiplication", PLDI 1994, figure 4.1).
 *
 * @param magic floor(2^32 (2^shift - d) / d) + 1, as 32 bits without a sign
 * @param shift ceil(log2 d)
 */
record Divisor(int magic, int shift) {
    /** Of a number from 1 to 2^31 - 1. */
    static Divisor of(long d) {
        int shift = 64 - Long.numberOfLeadingZeros(d - 1);
        long magic = Long.divideUnsigned(((1L << shift) - d) << 32, d) + 1;
        return new Divisor((int) magic, shift);
    }
}
