package dev.rebias.outcome;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * How far the quantised network's outputs are from the float network's, before the correction and after it.
 *
 * @param samples on how many samples that was measured, each run on its own where the models allow it
 * @param heldOut whether the correction has not seen these samples
 * @param outputs each output that could be compared, in the float model's order
 * @param notCompared the outputs that could not be, one sentence each
 * @param errorBefore the relative squared error before the correction, the outputs' added up: the mean over samples of
 *     error^2 / mean float output^2
 * @param change by how much it rose (fell where it is negative)
 * @param standardError of the change, paired by sample; infinite for one sample, of which it is not known
 * @param nearer on how many samples the error fell
 * @param further on how many it rose
 * @param seconds how long the measurement took
 */
public record Outcome(
        int samples,
        boolean heldOut,
        List<Output> outputs,
        List<String> notCompared,
        double errorBefore,
        double change,
        double standardError,
        int nearer,
        int further,
        double seconds) {
    /** So many standard errors make a change more than noise. */
    private static final double SIGNIFICANT = 2;

    /** What two standard errors leave to chance on one side, of a normal distribution. */
    private static final double CHANCE = 0.0228;

    /** Of so many samples chance is added up exactly; of more, 0.5^n is no double, and a normal distribution near. */
    private static final int MOST_EXACT = 1000;

    /** A relative squared error below this is float32's rounding. */
    private static final double ROUNDING = 1e-9;

    /** On samples that the correction has not seen, an error may rise by this share of itself. */
    private static final double HELD_OUT_RISE = 0.01;

    /**
     * One output of the network.
     *
     * @param name its name in the float model
     * @param signalPower the mean square of the float network's output
     * @param errorBefore the mean squared error of the quantised network's
     * @param errorAfter the same after the correction
     * @param cosineBefore of the angle between it and the float network's, all samples as one vector
     * @param cosineAfter the same after the correction
     * @param largest where the output looks like scores of classes: how often its largest value is at the float
     *     network's place
     */
    public record Output(
            String name,
            double signalPower,
            double errorBefore,
            double errorAfter,
            double cosineBefore,
            double cosineAfter,
            Optional<Agreement> largest) {
        /**
         * By how many decibels the ratio of signal to error rose; infinite where there was no error before, or is none
         * after it, and 0 where neither.
         */
        public double gain() {
            return errorAfter == errorBefore ? 0 : 10 * Math.log10(errorBefore / errorAfter);
        }
    }

    /** Shares of samples, 0 to 1. */
    public record Agreement(double before, double after) {}

    /** What the outcome says. */
    public enum Verdict {
        /** The outputs are nearer to the float network's than before. */
        BETTER,
        /** The difference is within its noise. */
        UNDECIDED,
        /** They are further away. */
        WORSE,
        /** No output could be compared. */
        UNKNOWN
    }

    public Outcome {
        outputs = List.copyOf(outputs);
        notCompared = List.copyOf(notCompared);
    }

    /**
     * The outcome of a correction.
     *
     * @param before how far the quantised network was from the float network
     * @param after how far it is with the correction, on the same samples
     * @param seconds what measuring both took
     */
    public static Outcome of(NetworkDistance before, NetworkDistance after, boolean heldOut, double seconds) {
        List<Output> outputs = new ArrayList<>();
        for (NetworkDistance.Output b : before.outputs()) {
            after.outputs().stream()
                    .filter(a -> a.name().equals(b.name()))
                    .findFirst()
                    .ifPresent(a -> outputs.add(new Output(
                            b.name(),
                            b.signalPower(),
                            b.error(),
                            a.error(),
                            b.cosine(),
                            a.cosine(),
                            b.sameLargest().flatMap(x -> a.sameLargest().map(y -> new Agreement(x, y))))));
        }
        int n = Math.min(before.relative().size(), after.relative().size());
        double[] changes = IntStream.range(0, n)
                .mapToDouble(i ->
                        difference(after.relative().get(i), before.relative().get(i)))
                .toArray();
        double mean =
                IntStream.range(0, n).mapToDouble(i -> changes[i]).average().orElse(0);
        double squares = IntStream.range(0, n)
                .mapToDouble(i -> (changes[i] - mean) * (changes[i] - mean))
                .sum();
        return new Outcome(
                before.samples(),
                heldOut,
                outputs,
                Stream.concat(before.notCompared().stream(), after.notCompared().stream())
                        .distinct()
                        .toList(),
                before.relativeError(),
                mean,
                n < 2 ? Double.POSITIVE_INFINITY : Math.sqrt(squares / (n - 1) / n),
                (int) Arrays.stream(changes).filter(c -> c < -ROUNDING).count(),
                (int) Arrays.stream(changes).filter(c -> c > ROUNDING).count(),
                seconds);
    }

    private static double difference(double after, double before) {
        return after == before ? 0 : after - before;
    }

    /** The relative squared error after the correction, the outputs' added up. */
    public double errorAfter() {
        return errorBefore + change;
    }

    /**
     * Whether the outputs are further from the float network's than before, by more than chance and rounding explain;
     * on held-out samples also where the error rose by more than 1 % of itself, for these are asked whether the
     * correction is any good.
     */
    public boolean isWorse() {
        boolean rose = !(change <= ROUNDING);
        return rose
                && (!(change <= SIGNIFICANT * standardError) || (heldOut && !(change <= HELD_OUT_RISE * errorBefore)));
    }

    /** What it says. */
    public Verdict verdict() {
        if (outputs.isEmpty()) {
            return Verdict.UNKNOWN;
        }
        if (isWorse()) {
            return Verdict.WORSE;
        }
        boolean fell = change < -ROUNDING;
        return fell && (-change > SIGNIFICANT * standardError || fellOnMost()) ? Verdict.BETTER : Verdict.UNDECIDED;
    }

    /**
     * Whether the error fell on more samples than chance explains, were it as likely to rise (sign test). A few samples
     * with large errors make the mean's standard error large, also where nearly all are better.
     */
    private boolean fellOnMost() {
        int n = nearer + further;
        if (n > MOST_EXACT) {
            return nearer - further > SIGNIFICANT * Math.sqrt(n);
        }
        double chance = Math.pow(0.5, n);
        double sum = 0;
        for (int k = n; k >= nearer && n > 0; k--) {
            sum += chance;
            chance *= (double) k / (n - k + 1);
        }
        return n > 0 && sum <= CHANCE;
    }
}
