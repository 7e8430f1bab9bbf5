package dev.rebias.report;

import dev.rebias.CorrectionResult;
import dev.rebias.Phase;
import dev.rebias.Requirements;
import dev.rebias.Version;
import dev.rebias.outcome.Outcome;
import dev.rebias.verify.Verification;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Everything that is to be told of a run of the command line: what all forms of a report are made from.
 *
 * @param version the program's
 * @param command what was done: {@code correct} or {@code measure}
 * @param verdict what came of it, in a word and a sentence
 * @param result what was measured and corrected
 * @param findings for each requirement whether it holds
 * @param verification what became of the written file, if it was verified
 * @param options every option and its value as it was used, in order
 * @param files the files that were read
 * @param phases how long each part of the run took, in order; they add up to the total
 * @param totalSeconds how long the whole took
 * @param perChannel whether to tell of single channels too
 */
public record RunReport(
        String version,
        String command,
        Verdict verdict,
        CorrectionResult result,
        List<Requirements.Finding> findings,
        Optional<Verification> verification,
        Map<String, String> options,
        List<FileRead> files,
        List<Phase> phases,
        double totalSeconds,
        boolean perChannel) {
    public RunReport {
        findings = List.copyOf(findings);
        options = new LinkedHashMap<>(options);
        files = List.copyOf(files);
        phases = List.copyOf(phases);
    }

    /**
     * The report of a correction that a program made.
     *
     * @param perChannel whether to tell of single channels too
     */
    public static RunReport of(CorrectionResult result, boolean perChannel) {
        Kind kind = Verdict.kind(result.outcome());
        double total = result.phases().stream().mapToDouble(Phase::seconds).sum();
        return new RunReport(
                Version.current(),
                "correct",
                new Verdict(kind, VerdictText.of(kind, result), false),
                result,
                List.of(),
                Optional.empty(),
                Map.of(),
                List.of(),
                result.phases(),
                total,
                perChannel);
    }

    /**
     * A file that was read.
     *
     * @param role what it is: {@code model} or {@code samples}
     * @param sha256 of its bytes, in hexadecimal; empty for a folder
     */
    public record FileRead(String role, String path, Optional<String> sha256) {}

    /** What came of a run. */
    public enum Kind {
        /** The outputs are nearer to the float network's. */
        BETTER,
        /** The difference is within its noise. */
        UNDECIDED,
        /** The outputs are further away. */
        WORSE,
        /**
         * A requirement does not hold, the corrections are mostly noise or come from fewer samples than an earlier
         * correction, or the written file does not compute what was corrected.
         */
        MISSED,
        /** Outputs were not compared. */
        UNKNOWN,
        /** Nothing was to be corrected: a measurement. */
        MEASURED
    }

    /**
     * What came of a run.
     *
     * @param sentence for people, without a full stop
     * @param published whether the corrected model was written
     */
    public record Verdict(Kind kind, String sentence, boolean published) {
        /** That of an outcome, if nothing else decides. */
        public static Kind kind(Optional<Outcome> outcome) {
            return outcome.map(o -> switch (o.verdict()) {
                        case BETTER -> Kind.BETTER;
                        case UNDECIDED -> Kind.UNDECIDED;
                        case WORSE -> Kind.WORSE;
                        case UNKNOWN -> Kind.UNKNOWN;
                    })
                    .orElse(Kind.UNKNOWN);
        }
    }
}
