package dev.rebias.sweep;

/** How the float network's layers are multiplied on a card; the CPU always computes in float32. */
public enum FloatMath {
    /** True float32. */
    FP32,
    /**
     * Factors may be rounded to TF32, 10 bits of fraction, for tensor cores to multiply; sums stay float32. Some seven
     * times as fast on data-centre cards.
     */
    TF32
}
