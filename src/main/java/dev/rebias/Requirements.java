package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.outcome.Outcome;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a correction must reach to be published.
 *
 * @param sqnrGain by how many decibels the ratio of signal to error must rise, of every output that can be compared
 * @param agreement how often the largest value of every output of scores must be at the float network's place with the
 *     correction, 0 to 1
 * @param layerMseIncrease by what share of itself no corrected layer's mean squared error may rise, on held-out samples
 *     where there are such: 0.01 is 1 %
 */
public record Requirements(OptionalDouble sqnrGain, OptionalDouble agreement, OptionalDouble layerMseIncrease) {
    /** None. */
    public static final Requirements NONE =
            new Requirements(OptionalDouble.empty(), OptionalDouble.empty(), OptionalDouble.empty());

    public Requirements {
        if (sqnrGain.isPresent() && !Double.isFinite(sqnrGain.getAsDouble())) {
            throw new UsageException("a gain of " + sqnrGain.getAsDouble() + " dB cannot be required");
        }
        if (agreement.isPresent() && !(agreement.getAsDouble() >= 0 && agreement.getAsDouble() <= 1)) {
            throw new UsageException(
                    "an agreement of " + agreement.getAsDouble() + " cannot be required: it is a share, from 0 to 1");
        }
        if (layerMseIncrease.isPresent() && !(layerMseIncrease.getAsDouble() >= 0)) {
            throw new UsageException(
                    "an increase of " + layerMseIncrease.getAsDouble() + " cannot be the most: give 0 or more");
        }
    }

    /**
     * One of them, looked at.
     *
     * @param name the component of {@link Requirements} that asks for it
     * @param wanted the least that was asked for, or the most
     * @param measured what was reached; empty where that cannot be measured
     * @param held whether it holds
     * @param where the output or layer that decides
     */
    public record Finding(String name, double wanted, Optional<Double> measured, boolean held, String where) {
        /** In one line. */
        @Override
        public String toString() {
            String reached = measured.map(m -> String.format(Locale.ROOT, "%.4g", m) + " at '" + where + "'")
                    .orElse("not known: " + where);
            return "`" + name + "` "
                    + new DecimalFormat("0.####", DecimalFormatSymbols.getInstance(Locale.ROOT)).format(wanted)
                    + (held ? " holds: " : " does not hold: ") + reached;
        }
    }

    /** Looks at a correction. */
    public List<Finding> of(CorrectionResult result) {
        return of(result.outcome(), result.layers());
    }

    List<Finding> of(Optional<Outcome> outcome, List<LayerResult> layers) {
        List<Finding> all = new ArrayList<>();
        sqnrGain.ifPresent(w -> all.add(gain(w, outcome)));
        agreement.ifPresent(w -> all.add(agreement(w, outcome)));
        layerMseIncrease.ifPresent(w -> all.add(layers(w, layers)));
        return all;
    }

    private static Finding unknown(String name, double wanted, String why) {
        return new Finding(name, wanted, Optional.empty(), false, why);
    }

    private static Finding gain(double wanted, Optional<Outcome> outcome) {
        String name = "sqnrGain";
        double least = Double.POSITIVE_INFINITY;
        String where = "";
        for (Outcome.Output output : outcome.map(Outcome::outputs).orElse(List.of())) {
            double own = output.gain();
            if (where.isEmpty() || isBeyond(least, own)) {
                least = own;
                where = output.name();
            }
        }
        return where.isEmpty()
                ? unknown(name, wanted, "no output was compared")
                : new Finding(name, wanted, Optional.of(least), least >= wanted, where);
    }

    /** Whether a value is less than the least so far; what is no number stays the least. */
    private static boolean isBeyond(double least, double own) {
        return !Double.isNaN(least) && !(own >= least);
    }

    private static Finding agreement(double wanted, Optional<Outcome> outcome) {
        String name = "agreement";
        Optional<Outcome.Output> worst = outcome.map(Outcome::outputs).orElse(List.of()).stream()
                .filter(o -> o.largest().isPresent())
                .min((a, b) -> Double.compare(
                        a.largest().orElseThrow().after(),
                        b.largest().orElseThrow().after()));
        return worst.map(o -> {
                    double own = o.largest().orElseThrow().after();
                    return new Finding(name, wanted, Optional.of(own), own >= wanted, o.name());
                })
                .orElseGet(() -> unknown(name, wanted, "no output that was compared looks like scores of classes"));
    }

    private static Finding layers(double wanted, List<LayerResult> layers) {
        String name = "layerMseIncrease";
        if (layers.stream().noneMatch(LayerResult::isCorrected)) {
            return new Finding(name, wanted, Optional.of(0.0), true, "every layer, for all were left as they were");
        }
        double most = Double.NEGATIVE_INFINITY;
        String where = "";
        for (LayerResult layer : layers) {
            Optional<Double> rise = layer.isCorrected()
                    ? layer.heldOut()
                            .or(layer::moments)
                            .flatMap(m -> m.errors())
                            .map(e -> e.mseBefore() == 0
                                    ? (e.mseAfter() == 0 ? 0 : Double.POSITIVE_INFINITY)
                                    : e.mseAfter() / e.mseBefore() - 1)
                    : Optional.empty();
            if (rise.isPresent() && (where.isEmpty() || isBeyond(-most, -rise.get()))) {
                most = rise.get();
                where = layer.name();
            }
        }
        return where.isEmpty()
                ? unknown(name, wanted, "no layer's errors were measured (`errors(false)`)")
                : new Finding(name, wanted, Optional.of(most), most <= wanted, where);
    }
}
