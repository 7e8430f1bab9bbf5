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

/**
 * The report as one page for people: no scripts, nothing from elsewhere. It shows what the JSON report says and nothing
 * else; the template is {@code report.html}.
 */
public final class HtmlReport {
    /** So many layers are shown at once; the others on request. */
    private static final int WORST = 10;

    /** The template's colours for phases, of which runs have at most eleven. */
    private static final int PHASE_COLOURS = 11;

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
        return page("report.html", new HtmlReport(report).page());
    }

    /** A template, filled with values, in UTF-8. */
    static byte[] page(String template, Map<String, Object> values) {
        Mustache.Compiler compiler =
                Mustache.compiler().escapeHTML(true).withLoader(name -> new StringReader(resource(name + ".html")));
        return compiler.compile(resource(template)).execute(values).getBytes(StandardCharsets.UTF_8);
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
        String verdict = verdict();
        page.put("title", "rebias: " + verdict);
        page.put("verdict", Map.of("kind", verdictKind(), "sentence", verdict));
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

    /** What the first line says. */
    private String verdict() {
        JsonNode error = report.path("error");
        if (error.isObject()) {
            return "Not corrected: "
                    + PrintableText.sentence(error.path("message").asText());
        }
        String sentence =
                PrintableText.sentence(report.path("verdict").path("sentence").asText());
        return sentence.isEmpty() ? sentence : Character.toUpperCase(sentence.charAt(0)) + sentence.substring(1);
    }

    /** In which colour. */
    private String verdictKind() {
        return switch (report.path("verdict").path("kind").asText()) {
            case "better" -> "good";
            case "undecided" -> "warn";
            case "measured", "unknown" -> "soft";
            default -> "worse";
        };
    }

    private boolean isMeasurement() {
        return report.path("command").asText().equals("measure");
    }

    /** How many of the layers were corrected, or only measured. */
    private String counted() {
        long counted = isMeasurement()
                ? measured.size()
                : measured.stream()
                        .map(l -> l.path("status").asText())
                        .filter(status -> status.equals("corrected") || status.equals("inserted"))
                        .count();
        return counted + " of " + report.path("layers").size();
    }

    private String subtitle() {
        List<String> parts = new ArrayList<>();
        if (report.has("layers")) {
            parts.add(counted() + " layers " + (isMeasurement() ? "measured" : "corrected") + " against the "
                    + report.path("reference").asText() + " reference");
            parts.add(report.path("samples").asInt() + " samples");
            JsonNode device = report.path("device");
            parts.add("on " + device.path("kind").asText() + " ("
                    + PrintableText.name(device.path("name").asText()) + ")"
                    + (device.path("emulated").asBoolean() ? ", emulated" : "")
                    + (report.path("math").asText().equals("tf32") ? ", the float network in TF32" : ""));
            int devices = report.path("sharing").path("parts").size();
            if (devices > 1) {
                parts.add("divided among " + devices + " devices");
            }
        }
        if (report.path("command").asText().equals("correct")) {
            parts.add(
                    report.path("verdict").path("published").asBoolean()
                            ? "the corrected model is written"
                            : "no model is written");
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
            card(cards, counted(), isMeasurement() ? "layers measured" : "layers corrected");
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
                rows.size() > WORST
                        ? "The " + WORST + " layers of " + rows.size() + " with the most error left"
                        : "Layers, the most error left first");
        page.put("worst", worst);
        page.put("hasMore", rows.size() > WORST);
        put(page, "Layers", "layers", rows);
        page.put("layerCount", rows.size());
        page.put("decades", errors.decades());
        page.put("axis", errors.text());
        page.put("spreadAxis", spread.text());
        page.put("spreadOpen", rows.size() > WORST ? "" : "open");
        page.put("spreadNote", spreadNote());
        put(page, "Weights", "weights", weights());
    }

    private String spreadNote() {
        if (measured.stream().anyMatch(l -> l.has("standardError"))) {
            return "";
        }
        return measured.stream().anyMatch(l -> l.has("weightsMoved"))
                ? " Standard errors are not known where weights are chosen anew."
                : " Standard errors come with --per-channel.";
    }

    /** What became of the weights of layers, where these were to be chosen anew. */
    private List<Map<String, String>> weights() {
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode layer : measured) {
            if (layer.has("weightsMoved")) {
                rows.add(Map.of(
                        "name",
                        PrintableText.name(layer.path("name").asText()),
                        "moved",
                        number("%.1f", layer.path("weightsMoved"), 100, " %"),
                        "withBias",
                        number("%.3g", layer.path("mseWithBias"), 1, ""),
                        "after",
                        number("%.3g", layer.path("mseAfter"), 1, ""),
                        "kept",
                        PrintableText.sentence(layer.path("weightsKept").asText(""))));
            }
        }
        return rows;
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
        Map<String, Double> seconds = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> phase : timings.properties()) {
            if (!phase.getKey().equals("totalSeconds")) {
                seconds.put(phase.getKey(), phase.getValue().asDouble());
            }
        }
        int index = 0;
        for (Map.Entry<String, Double> phase : seconds.entrySet()) {
            rows.add(Map.of(
                    "index",
                    Integer.toString(index++ % PHASE_COLOURS),
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
            rows.add(Map.of(
                    "reference",
                    trial.path("reference").asText(),
                    "left",
                    left(trial.path("outcome")),
                    "seconds",
                    number("%.2f", trial.path("sweepSeconds"), 1, " s"),
                    "kept",
                    trial.path("kept").asBoolean() ? "kept" : ""));
        }
        return rows.size() > 1 ? rows : List.of();
    }

    /** What is left of the relative squared error of all outputs. */
    private static String left(JsonNode outcome) {
        double before = outcome.path("errorBefore").asDouble();
        double share = (before + outcome.path("change").asDouble(Double.NaN)) / before;
        return Double.isFinite(share) ? PrintableText.percent(share) : NONE;
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
        String sentence = s.path("sentence").asText();
        if (s.path("enough").asBoolean()) {
            return "Yes: " + sentence + ".";
        }
        boolean known = s.path("wantedSamples").isNumber();
        return (known ? "More would be better: " : "No: ") + sentence + ".";
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
}
