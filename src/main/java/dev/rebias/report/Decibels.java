package dev.rebias.report;

import java.util.Optional;

/** Signal to quantisation noise ratio. */
final class Decibels {
    private Decibels() {}

    /** 10 log10(signal / noise) in dB, both as mean squares; empty where there is no noise or no signal. */
    static Optional<Double> sqnr(double signal, double noise) {
        return signal > 0 && noise > 0 ? Optional.of(10 * Math.log10(signal / noise)) : Optional.empty();
    }
}
