package dev.rebias.report;

import java.util.OptionalDouble;

/** Signal to quantisation noise ratio. */
final class Decibels {
    private Decibels() {}

    /** 10 log10(signal / noise) in dB, both as mean squares; empty where there is no noise or no signal. */
    static OptionalDouble sqnr(double signal, double noise) {
        return signal > 0 && noise > 0 ? OptionalDouble.of(10 * Math.log10(signal / noise)) : OptionalDouble.empty();
    }
}
