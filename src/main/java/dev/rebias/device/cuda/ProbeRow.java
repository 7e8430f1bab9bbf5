package dev.rebias.device.cuda;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * One line of the probe's table.
 *
 * @param kind what is special about the convolution or the product
 * @param direction {@code forward}, {@code backward}, {@code product}
 * @param status what the library answered: {@code SUCCESS}, or its name of the refusal; empty while it has not been
 *     asked
 * @param milliseconds of one call; empty if it was refused
 * @param exact whether sums of 8-bit integers are exact
 * @param sameBits whether a sample's values are those that it has alone, in the first row and the last, bit for bit
 */
public record ProbeRow(
        String library,
        String kind,
        String direction,
        String algorithm,
        String math,
        int batch,
        String status,
        Optional<Double> milliseconds,
        Optional<Boolean> exact,
        Optional<Boolean> sameBits) {
    /** As the table's head names them. */
    public static final List<String> COLUMNS =
            List.of("library", "kind", "direction", "algorithm", "math", "batch", "status", "ms", "exact", "same_bits");

    /** What is about to be tried. */
    static ProbeRow asked(String library, String kind, String direction, String algorithm, String math, int batch) {
        return new ProbeRow(
                library,
                kind,
                direction,
                algorithm,
                math,
                batch,
                "",
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
    }

    /** The same, refused. */
    ProbeRow refused(String answer) {
        return answered(answer, Optional.empty(), Optional.empty(), Optional.empty());
    }

    /** The same, done. */
    ProbeRow done(double time, boolean sumsExact, boolean bitsSame) {
        return answered("SUCCESS", Optional.of(time), Optional.of(sumsExact), Optional.of(bitsSame));
    }

    private ProbeRow answered(
            String answer, Optional<Double> time, Optional<Boolean> sumsExact, Optional<Boolean> bitsSame) {
        return new ProbeRow(library, kind, direction, algorithm, math, batch, answer, time, sumsExact, bitsSame);
    }

    /** What it is, without what came out. */
    public String key() {
        return String.join("\t", library, kind, direction, algorithm, math, Integer.toString(batch));
    }

    /** As a line of the table. */
    public String line() {
        return String.join(
                "\t",
                key(),
                status,
                milliseconds.map(m -> String.format(Locale.ROOT, "%.4f", m)).orElse("-"),
                exact.map(ProbeRow::yes).orElse("-"),
                sameBits.map(ProbeRow::yes).orElse("-"));
    }

    private static String yes(boolean b) {
        return b ? "yes" : "no";
    }
}
