package dev.rebias.report;

import dev.rebias.CorrectionResult;
import dev.rebias.outcome.Outcome;
import java.util.Locale;

/** What came of a run, in a sentence. */
public final class VerdictText {
    private VerdictText() {}

    /** The sentence of a verdict that has none of its own. */
    public static String of(RunReport.Kind kind, CorrectionResult result) {
        String where = result.outcome()
                .map(o -> String.format(
                        Locale.ROOT,
                        "on %d %s",
                        o.samples(),
                        o.heldOut() ? "held-out samples" : "of the samples that corrections come from"))
                .orElse("");
        return switch (kind) {
            case BETTER -> "better: " + share(result.outcome().orElseThrow()) + ", " + where;
            case UNDECIDED -> "no difference beyond chance in the outputs, " + where;
            case WORSE -> "worse: " + share(result.outcome().orElseThrow()) + ", " + where;
            case UNKNOWN ->
                result.outcome()
                        .map(Outcome::notCompared)
                        .map(n -> "not known whether it is better: no output of the two networks could be compared")
                        .orElse("not known whether it is better: outputs were not compared (--no-outcome)");
            case MEASURED -> "measured, nothing corrected";
            case MISSED -> throw new IllegalArgumentException(kind + " has a sentence of its own");
        };
    }

    private static String share(Outcome outcome) {
        return outcome.errorBefore() == 0
                ? "the outputs had no error, and have one now"
                : "the outputs' squared error is " + OutcomeText.share(outcome) + " of what it was";
    }
}
