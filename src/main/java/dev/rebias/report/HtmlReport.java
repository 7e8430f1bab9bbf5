package dev.rebias.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.samskivert.mustache.Mustache;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** The report as one page for people: no scripts, nothing from elsewhere. It shows what the JSON report says and nothing else; the template is {@code report.html}. */
public final class HtmlReport {
    /** So many layers are shown at once; the others on request. */
    private static final int WORST = 10;

    /** What a report without an outcome, or a number that does not exist, shows. */
    private static final String NONE = "–";

    private final JsonNode report;
    private final List<JsonNode> measured = new ArrayList<>();
    private final LogScale errors;
    private final Spread spread;

    private HtmlReport(JsonNode report) {
        this.report = report;
        for (JsonNode layer : report.path("layers")) {
            if (layer.hasNonNull("delta")) {
                measured.add(layer);
            }
        }
        this.errors = LogScale.of(measured.stream()
                .flatMap(l -> Stream.of(relative(l, "mseBefore"), relative(l, "mseAfter")))
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble)
                .toArray());
        this.spread = Spread.of(measured);
    }

    /**
     * Renders a report.
     *
     * @param report the tree of {@link JsonReport}
     * @return UTF-8
     */
    public static byte[] write(JsonNode report) {
        Mustache.Compiler compiler =
                Mustache.compiler().escapeHTML(true).withLoader(name -> new StringReader(resource(name + ".html")));
        return compiler.compile(resource("report.html"))
                .execute(new HtmlReport(report).page())
                .getBytes(StandardCharsets.UTF_8);
    }

    private static String resource(String name) {
        try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("the template '" + name + "' is not in the program");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new RebiasException("the report's template '" + name + "' cannot be read: " + e.getMessage(), e);
        }
    }

    private Map<String, Object> page() {
        Map<String, Object> page = new LinkedHashMap<>();
        Verdict verdict = Verdict.of(report);
        page.put("title", "rebias: " + verdict.sentence());
        page.put("verdict", Map.of("kind", verdict.kind(), "sentence", verdict.sentence()));
        page.put("subtitle", subtitle());
        page.put("cards", cards());
        put(page, "Warnings", "warnings", texts(report.path("warnings")));
        put(page, "Outputs", "outputs", outputs());
        page.put("outputsNote", outputsNote());
        page.put("notCompared", texts(report.path("outcome").path("notCompared")));
        layers(page);
        put(page, "Trials", "trials", trials());
        put(page, "Inputs", "inputs", inputs());
        page.put("sufficiency", sufficiency());
        page.put("hasSamples", report.path("samplesUsed").isObject());
        page.put("samplesNote", samplesNote());
        put(page, "Requirements", "requirements", requirements());
        put(page, "Skipped", "skipped", skipped());
        phases(page);
        put(page, "Settings", "settings", settings());
        return page;
    }

    private static void put(Map<String, Object> page, String has, String name, List<?> values) {
        page.put("has" + has, !values.isEmpty());
        page.put(name, values);
    }

    private String subtitle() {
        List<String> parts = new ArrayList<>();
        if (report.has("layers")) {
            parts.add(measured.size() + " of " + report.path("layers").size() + " layers corrected against the "
                    + report.path("reference").asText() + " reference");
            parts.add(report.path("samples").asInt() + " samples");
            JsonNode device = report.path("device");
            parts.add("on " + device.path("kind").asText() + " ("
                    + PrintableText.name(device.path("name").asText()) + ")"
                    + (device.path("emulated").asBoolean() ? ", emulated" : ""));
        }
        parts.add("rebias " + report.path("rebias").asText());
        return String.join(", ", parts);
    }

    private List<Map<String, String>> cards() {
        List<Map<String, String>> cards = new ArrayList<>();
        JsonNode output = report.path("outcome").path("outputs").path(0);
        if (output.isObject()) {
            String name = PrintableText.name(output.path("name").asText());
            card(cards, arrow(output, "sqnr", 1, "%.1f", " dB"), "signal to noise of " + name);
            card(cards, arrow(output, "agreement", 100, "%.1f", " %"), "same largest value as the float network");
        }
        if (!measured.isEmpty()) {
            card(cards, measured.size() + " of " + report.path("layers").size(), "layers corrected");
        }
        if (report.has("samples")) {
            JsonNode enough = report.path("sufficiency");
            card(
                    cards,
                    Integer.toString(report.path("samples").asInt()),
                    enough.isObject()
                            ? (enough.path("enough").asBoolean()
                                    ? "calibration samples: enough"
                                    : "calibration samples: more would be better")
                            : "calibration samples");
        }
        return cards;
    }

    private static void card(List<Map<String, String>> cards, String value, String label) {
        if (!value.isEmpty()) {
            cards.add(Map.of("value", value, "label", label));
        }
    }

    private static String arrow(JsonNode of, String name, double factor, String format, String unit) {
        JsonNode before = of.path(name + "Before");
        JsonNode after = of.path(name + "After");
        return before.isNumber() && after.isNumber()
                ? number(format, factor * before.asDouble()) + " → " + number(format, factor * after.asDouble()) + unit
                : "";
    }

    private String outputsNote() {
        JsonNode outcome = report.path("outcome");
        return "The whole networks' outputs against the float network's, on "
                + outcome.path("samples").asInt() + " "
                + (outcome.path("heldOut").asBoolean()
                        ? "samples that were held out: no correction has seen them."
                        : "of the calibration samples.");
    }

    private List<Map<String, String>> outputs() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode o : report.path("outcome").path("outputs")) {
            Map<String, String> row = new LinkedHashMap<>();
            row.put("name", PrintableText.name(o.path("name").asText()));
            row.put("sqnr", arrow(o, "sqnr", 1, "%.1f", ""));
            row.put("rms", arrow(o, "rmsError", 1, "%.3g", ""));
            row.put("agreement", arrow(o, "agreement", 100, "%.1f", " %"));
            rows.add(row);
        }
        return rows;
    }

    private void layers(Map<String, Object> page) {
        List<Map<String, Object>> rows = measured.stream().map(this::row).toList();
        List<Map<String, Object>> worst = measured.stream()
                .sorted(Comparator.comparingDouble(
                                (JsonNode l) -> relative(l, "mseAfter").orElse(0))
                        .reversed())
                .limit(WORST)
                .map(this::row)
                .toList();
        page.put(
                "worstTitle",
                rows.size() > WORST ? "The " + WORST + " worst layers of " + rows.size() : "Layers, the worst first");
        page.put("worst", worst);
        page.put("hasMore", rows.size() > WORST);
        put(page, "Layers", "layers", rows);
        page.put("layerCount", rows.size());
        page.put("decades", errors.decades());
        page.put("axis", errors.text());
        page.put("spreadAxis", spread.text());
        page.put("spreadOpen", rows.size() > WORST ? "" : "open");
        page.put(
                "spreadNote",
                measured.stream().anyMatch(l -> l.has("standardError"))
                        ? ""
                        : " Standard errors come with --per-channel.");
    }

    private Map<String, Object> row(JsonNode layer) {
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("name", PrintableText.name(layer.path("name").asText()));
        row.put("op", layer.path("op").asText());
        row.put("channels", layer.path("channels").asText());
        row.put("sqnrBefore", number("%.1f", layer.path("sqnrBefore"), 1, ""));
        row.put("sqnrAfter", number("%.1f", layer.path("sqnrAfter"), 1, ""));
        row.put("biasShare", number("%.1f", layer.path("biasShare"), 100, " %"));
        row.put("maxAbsDelta", number("%.3g", layer.path("maxAbsDelta"), 1, ""));
        OptionalDouble before = relative(layer, "mseBefore");
        OptionalDouble after = relative(layer, "mseAfter");
        if (before.isPresent() && after.isPresent()) {
            double share = layer.path("biasShare").asDouble();
            row.put("bar", errors.bar(before.getAsDouble(), after.getAsDouble(), before.getAsDouble() * (1 - share)));
            row.put(
                    "barLabel",
                    "error " + PrintableText.percent(before.getAsDouble()) + " of the signal before, "
                            + PrintableText.percent(after.getAsDouble()) + " after");
        } else {
            row.put("barLabel", "not measured");
        }
        row.putAll(spread.row(layer));
        return row;
    }

    /** An error as a share of the signal's power; empty where either was not measured. */
    private static OptionalDouble relative(JsonNode layer, String name) {
        double signal = layer.path("signalPower").asDouble();
        return layer.path(name).isNumber() && signal > 0
                ? OptionalDouble.of(layer.path(name).asDouble() / signal)
                : OptionalDouble.empty();
    }

    private List<Map<String, String>> skipped() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode layer : report.path("layers")) {
            if (layer.hasNonNull("reason")) {
                rows.add(Map.of(
                        "name",
                        PrintableText.name(layer.path("name").asText()),
                        "op",
                        layer.path("op").asText(),
                        "reason",
                        PrintableText.sentence(layer.path("reason").asText())));
            }
        }
        return rows;
    }

    private void phases(Map<String, Object> page) {
        List<Map<String, String>> rows = new ArrayList<>();
        JsonNode timings = report.path("timings");
        double total = timings.path("totalSeconds").asDouble();
        double rest = total;
        Map<String, Double> seconds = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> phase : timings.properties()) {
            String name = phase.getKey().replaceFirst("Seconds$", "");
            if (!name.equals("total")) {
                seconds.put(name, phase.getValue().asDouble());
                rest -= phase.getValue().asDouble();
            }
        }
        if (!seconds.isEmpty()) {
            seconds.merge("other", Math.max(0, rest), Double::sum);
        }
        int index = 0;
        for (Map.Entry<String, Double> phase : seconds.entrySet()) {
            rows.add(Map.of(
                    "index",
                    Integer.toString(index++ % 5),
                    "name",
                    phase.getKey(),
                    "seconds",
                    number("%.2f", phase.getValue()),
                    "percent",
                    number("%.2f", total > 0 ? 100 * phase.getValue() / total : 0)));
        }
        page.put("hasPhases", !rows.isEmpty());
        page.put("phases", rows);
        page.put("phasesLabel", "time by phase, " + number("%.2f", total) + " s in all");
        List<Map<String, String>> facts = new ArrayList<>();
        facts.add(fact("in all", number("%.2f", total) + " s"));
        facts.add(fact("samples at a time", report.path("batchSize").asText()));
        JsonNode memory = report.path("memory");
        facts.add(fact("tensors in memory, at most", megabytes(memory.path("peakDeviceBytes"))));
        facts.add(fact("tensors in a temporary file, at most", megabytes(memory.path("spilledBytes"))));
        JsonNode transfers = report.path("transfers");
        facts.add(
                fact("bytes to the device", transfers.path("hostToDeviceBytes").asText()));
        facts.add(fact("bytes back", transfers.path("deviceToHostBytes").asText()));
        page.put("facts", facts);
    }

    private List<Map<String, String>> trials() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode trial : report.path("trials")) {
            JsonNode output = trial.path("outcome").path("outputs").path(0);
            rows.add(Map.of(
                    "reference",
                    trial.path("reference").asText(),
                    "sqnr",
                    output.isObject() ? arrow(output, "sqnr", 1, "%.1f", "") : NONE,
                    "seconds",
                    number("%.2f", trial.path("sweepSeconds"), 1, " s"),
                    "kept",
                    trial.path("kept").asBoolean() ? "kept" : ""));
        }
        return rows.size() > 1 ? rows : List.of();
    }

    private List<Map<String, String>> inputs() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode input : report.path("samplesUsed").path("inputs")) {
            rows.add(Map.of(
                    "name",
                    PrintableText.name(input.path("name").asText()),
                    "range",
                    range(input.path("least"), input.path("most")),
                    "mean",
                    number("%.3g", input.path("mean"), 1, ""),
                    "quantizer",
                    range(input.path("quantizerLeast"), input.path("quantizerMost")),
                    "beyond",
                    number("%.2g", input.path("beyond"), 100, " %")));
        }
        return rows;
    }

    private static String range(JsonNode least, JsonNode most) {
        return least.isNumber() && most.isNumber()
                ? number("%.3g", least.asDouble()) + " to " + number("%.3g", most.asDouble())
                : NONE;
    }

    /** Whether the samples were enough, in a sentence. */
    private String sufficiency() {
        JsonNode s = report.path("sufficiency");
        if (!s.isObject()) {
            return "Standard errors were not measured.";
        }
        if (!s.path("relativeStandardError").isNumber()) {
            return "No: the typical correction is no larger than its standard error.";
        }
        String error = "the typical standard error is "
                + PrintableText.percent(s.path("relativeStandardError").asDouble())
                + " of a correction";
        if (s.path("enough").asBoolean()) {
            return "Yes: " + error + ".";
        }
        return "More would be better: " + error
                + (s.path("wantedSamples").isNumber()
                        ? "; about " + s.path("wantedSamples").asLong() + " samples would bring it to 5 %."
                        : ".");
    }

    private String samplesNote() {
        JsonNode used = report.path("samplesUsed");
        return "Corrections come from " + used.path("correcting").asInt() + " samples, "
                + used.path("distinct").asInt() + " of them different"
                + (used.path("heldOut").asInt() > 0
                        ? "; " + used.path("heldOut").asInt() + " were held out to measure the outcome on."
                        : ".");
    }

    private List<Map<String, String>> requirements() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode r : report.path("requirements")) {
            rows.add(Map.of(
                    "name",
                    r.path("name").asText(),
                    "wanted",
                    number("%.3g", r.path("wanted"), 1, ""),
                    "measured",
                    number("%.3g", r.path("measured"), 1, ""),
                    "where",
                    PrintableText.name(r.path("where").asText()),
                    "kind",
                    r.path("held").asBoolean() ? "good" : "worse",
                    "held",
                    r.path("held").asBoolean() ? "held" : "missed"));
        }
        return rows;
    }

    private List<Map<String, String>> settings() {
        List<Map<String, String>> facts = new ArrayList<>();
        JsonNode verification = report.path("verification");
        if (verification.isObject()) {
            facts.add(fact(
                    "verification",
                    verification.path("passed").asBoolean()
                            ? "passed: " + verification.path("layers").asInt() + " layers run on "
                                    + verification.path("samples").asInt() + " samples in ONNX Runtime"
                            : "failed"));
        }
        for (JsonNode file : report.path("files")) {
            facts.add(fact(
                    file.path("role").asText(),
                    PrintableText.name(file.path("path").asText())
                            + (file.path("sha256").isTextual()
                                    ? ", SHA-256 " + file.path("sha256").asText()
                                    : "")));
        }
        for (Map.Entry<String, JsonNode> option : report.path("options").properties()) {
            facts.add(fact(
                    option.getKey(), PrintableText.sentence(option.getValue().asText())));
        }
        return facts;
    }

    private static Map<String, String> fact(String name, String value) {
        return Map.of("name", name, "value", value);
    }

    private static String megabytes(JsonNode bytes) {
        return number("%.1f", bytes, 1e-6, " MB");
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(t -> texts.add(PrintableText.sentence(t.asText())));
        return texts;
    }

    private static String number(String format, JsonNode value, double factor, String unit) {
        return value.isNumber() ? number(format, factor * value.asDouble()) + unit : NONE;
    }

    static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    /** What the first line says. */
    private record Verdict(String kind, String sentence) {
        static Verdict of(JsonNode report) {
            JsonNode error = report.path("error");
            if (error.isObject()) {
                return new Verdict(
                        "worse",
                        "Not corrected: "
                                + PrintableText.sentence(error.path("message").asText()));
            }
            String said = report.path("verdict").path("kind").asText();
            if (said.equals("missed")) {
                return new Verdict(
                        "worse",
                        PrintableText.sentence(
                                report.path("verdict").path("sentence").asText()));
            }
            JsonNode outcome = report.path("outcome");
            if (said.equals("measured")) {
                return new Verdict("soft", "Measured, nothing corrected");
            }
            if (outcome.path("outputs").isEmpty()) {
                return new Verdict("soft", "Corrected; how far the network's outputs moved was not measured");
            }
            if (outcome.path("worse").asBoolean()) {
                return new Verdict("worse", "The corrected network is further from the float network than before");
            }
            double change = outcome.path("change").asDouble();
            if (-change > 2 * outcome.path("standardError").asDouble()) {
                return new Verdict("good", "The corrected network is closer to the float network" + gain(outcome));
            }
            return new Verdict(
                    "warn", "The correction makes no difference to the network's outputs that chance does not explain");
        }

        private static String gain(JsonNode outcome) {
            JsonNode output = outcome.path("outputs").path(0);
            if (!output.path("sqnrBefore").isNumber()
                    || !output.path("sqnrAfter").isNumber()) {
                return "";
            }
            double gain = output.path("sqnrAfter").asDouble()
                    - output.path("sqnrBefore").asDouble();
            return gain >= 0.05 ? ": " + number("%.1f", gain) + " dB less noise" : "";
        }
    }
}
