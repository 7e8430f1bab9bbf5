package dev.rebias.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.rebias.error.PrintableText;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Many reports as one page for people, failures first, and as one table (RFC 4180). */
public final class BatchSummary {
    private static final int NOT_RUN = 1;
    private static final int REFUSED = 5;
    private static final String NONE = "–";

    private static final List<String> COLUMNS = List.of(
            "output",
            "state",
            "exitCode",
            "sentence",
            "sqnrBefore",
            "sqnrAfter",
            "seconds",
            "samples",
            "reference",
            "device",
            "emulated");

    private BatchSummary() {}

    /**
     * One job.
     *
     * @param output its output's name
     * @param state {@code failed}, {@code refused}, {@code not run}, or the verdict's kind
     * @param exitCode of the job; 0 where its output is there
     * @param sentence what came of it
     * @param sqnrBefore in dB, of the network's output that has the least of it afterwards; empty where not measured
     * @param sqnrAfter the same after the correction
     * @param seconds that it took in all
     * @param device what it was done on
     * @param emulated whether that was the test instrument
     */
    public record Row(
            String output,
            String state,
            int exitCode,
            String sentence,
            Optional<Double> sqnrBefore,
            Optional<Double> sqnrAfter,
            double seconds,
            int samples,
            String reference,
            String device,
            boolean emulated,
            long bytesToDevice,
            long bytesFromDevice) {
        /**
         * Of a job's report.
         *
         * @param report the tree of {@link JsonReport}; empty where there is none
         */
        public static Row of(String output, Optional<JsonNode> report) {
            JsonNode json = report.orElseGet(MissingNode::getInstance);
            JsonNode worst = json.path("outcome").path("outputs").path(-1);
            for (JsonNode o : json.path("outcome").path("outputs")) {
                if (worst.isMissingNode()
                        || o.path("sqnrAfter").asDouble(Double.MAX_VALUE)
                                < worst.path("sqnrAfter").asDouble(Double.MAX_VALUE)) {
                    worst = o;
                }
            }
            JsonNode verdict = json.path("verdict");
            JsonNode error = json.path("error");
            String state = verdict.path("kind").asText();
            int exitCode = 0;
            String sentence = verdict.path("sentence").asText();
            if (error.isObject()) {
                exitCode = error.path("exitCode").asInt(1);
                state = exitCode == REFUSED ? "refused" : "failed";
                sentence = error.path("message").asText();
            } else if (!verdict.isObject()) {
                exitCode = NOT_RUN;
                state = "not run";
                sentence = "there is no report of it: it has not had its turn, or was dropped; run the batch again";
            } else if (!verdict.path("published").asBoolean()) {
                exitCode = REFUSED;
                state = "refused";
            }
            return new Row(
                    output,
                    state,
                    exitCode,
                    sentence,
                    number(worst.path("sqnrBefore")),
                    number(worst.path("sqnrAfter")),
                    json.path("timings").path("totalSeconds").asDouble(),
                    json.path("samples").asInt(),
                    json.path("reference").asText(),
                    json.path("device").path("name").asText(),
                    json.path("device").path("emulated").asBoolean(),
                    json.path("transfers").path("hostToDeviceBytes").asLong(),
                    json.path("transfers").path("deviceToHostBytes").asLong());
        }

        private static Optional<Double> number(JsonNode value) {
            return value.isNumber() ? Optional.of(value.asDouble()) : Optional.empty();
        }

        private Optional<Double> gain() {
            return sqnrBefore.flatMap(b -> sqnrAfter.map(a -> a - b));
        }

        /** What is read first: failures, refusals, what has not run, and then the least gain. */
        private int rank() {
            return switch (state) {
                case "failed" -> 0;
                case "not run" -> 1;
                case "refused" -> 2;
                case "worse" -> 3;
                case "better" -> 5;
                default -> 4;
            };
        }
    }

    /** In the order in which they are to be read: failures first, and the least gain before larger ones. */
    public static List<Row> sorted(List<Row> rows) {
        return rows.stream()
                .sorted(Comparator.comparingInt(Row::rank)
                        .thenComparingDouble(r -> r.gain().orElse(Double.NEGATIVE_INFINITY))
                        .thenComparing(Row::output))
                .toList();
    }

    /** How many there are of each state, in a line. */
    public static String counts(List<Row> rows) {
        Map<String, Long> counts = new LinkedHashMap<>();
        sorted(rows).forEach(r -> counts.merge(r.state(), 1L, Long::sum));
        return rows.size() + " jobs: "
                + counts.entrySet().stream()
                        .map(e -> e.getValue() + " " + e.getKey())
                        .collect(Collectors.joining(", "));
    }

    /** The table, in UTF-8; a number that does not exist is an empty field. */
    public static byte[] csv(List<Row> rows) {
        StringBuilder out = new StringBuilder(String.join(",", COLUMNS)).append("\r\n");
        for (Row r : sorted(rows)) {
            out.append(List.of(
                                    CsvReport.field(r.output()),
                                    r.state(),
                                    Integer.toString(r.exitCode()),
                                    CsvReport.field(r.sentence()),
                                    r.sqnrBefore().map(v -> number("%.2f", v)).orElse(""),
                                    r.sqnrAfter().map(v -> number("%.2f", v)).orElse(""),
                                    number("%.3f", r.seconds()),
                                    Integer.toString(r.samples()),
                                    r.reference(),
                                    CsvReport.field(r.device()),
                                    Boolean.toString(r.emulated()))
                            .stream()
                            .collect(Collectors.joining(",")))
                    .append("\r\n");
        }
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** The page, in UTF-8: no scripts, nothing from elsewhere. */
    public static byte[] html(List<Row> rows) {
        Map<String, Object> page = new LinkedHashMap<>();
        long failed = rows.stream().filter(r -> r.exitCode() != 0).count();
        String title = failed == 0
                ? "All " + rows.size() + " models corrected"
                : failed + " of " + rows.size() + " models not corrected";
        page.put("title", "rebias: " + title);
        page.put("verdict", Map.of("kind", failed == 0 ? "good" : "worse", "sentence", title));
        page.put("subtitle", counts(rows));
        List<Map<String, String>> cards = new ArrayList<>();
        Map<String, Long> states = new LinkedHashMap<>();
        sorted(rows).forEach(r -> states.merge(r.state(), 1L, Long::sum));
        states.forEach((state, n) -> cards.add(Map.of("value", n.toString(), "label", state)));
        cards.add(Map.of(
                "value",
                number("%.0f s", rows.stream().mapToDouble(Row::seconds).sum()),
                "label",
                "in all, workers added up"));
        page.put("cards", cards);
        page.put("rows", sorted(rows).stream().map(BatchSummary::cells).toList());
        return HtmlReport.page("summary.html", page);
    }

    private static Map<String, String> cells(Row r) {
        Map<String, String> cells = new LinkedHashMap<>();
        cells.put("output", PrintableText.name(r.output()));
        cells.put("state", r.state());
        cells.put("kind", r.exitCode() != 0 || r.state().equals("worse") ? "worse" : r.state());
        cells.put("sentence", PrintableText.sentence(r.sentence()));
        cells.put(
                "sqnr",
                r.sqnrBefore().isPresent() && r.sqnrAfter().isPresent()
                        ? number("%.1f", r.sqnrBefore().get())
                                + " → "
                                + number("%.1f", r.sqnrAfter().get())
                        : NONE);
        cells.put("seconds", r.seconds() > 0 ? number("%.1f s", r.seconds()) : NONE);
        cells.put(
                "device",
                r.device().isEmpty() ? NONE : PrintableText.name(r.device()) + (r.emulated() ? " (emulated)" : ""));
        return cells;
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
