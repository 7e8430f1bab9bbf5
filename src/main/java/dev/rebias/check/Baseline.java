package dev.rebias.check;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/**
 * What another program does on the same card, beside ours. The script's JSON has {@code samples}, {@code batch},
 * {@code copy GB/s} and, for each network, {@code U <how> ms}: one float and one quantised pass; and multiples of the
 * best of those, with a name that ends in {@code U}.
 */
final class Baseline {
    private static final Map<String, String> NETWORKS = Map.of("mobilenet", "MobileNetV1", "resnet50", "ResNet-50");

    private Baseline() {}

    static void compare(Findings findings, JsonNode script, Path out) throws IOException {
        for (String fact : new String[] {"torch", "device", "samples", "batch", "copy GB/s", "sum GB/s"}) {
            if (script.has(fact)) {
                findings.fact(fact, script.get(fact).asText());
            }
        }
        Findings.Table table = findings.table(
                "in units of U, the best plain float pass + quantised pass of the script",
                "network",
                "what",
                "ms",
                "U");
        for (Map.Entry<String, String> network : NETWORKS.entrySet()) {
            JsonNode own = script.get(network.getKey());
            if (own == null) {
                continue;
            }
            double best = Double.POSITIVE_INFINITY;
            for (Map.Entry<String, JsonNode> field : own.properties()) {
                if (field.getKey().startsWith("U ") && field.getKey().endsWith(" ms")) {
                    best = Math.min(best, field.getValue().asDouble());
                }
            }
            for (Map.Entry<String, JsonNode> field : own.properties()) {
                double value = field.getValue().asDouble();
                if (field.getKey().endsWith(" ms")) {
                    row(table, network.getValue(), "script: " + field.getKey(), value, value / best);
                } else if (field.getKey().endsWith(" U")) {
                    row(table, network.getValue(), "script: " + field.getKey(), value * best, value);
                }
            }
            ours(table, network.getValue(), script, best, out);
        }
        copies(findings, script, out);
    }

    /** Our warm corrections at the script's batch size, scaled to its number of samples where that is another. */
    private static void ours(Findings.Table table, String network, JsonNode script, double best, Path out)
            throws IOException {
        Path file = out.resolve(Step.CORRECTIONS.id() + ".json");
        if (!Files.exists(file)) {
            return;
        }
        for (JsonNode corrections : Findings.JSON.readTree(file.toFile()).get("tables")) {
            int samples = Integer.parseInt(corrections.get("title").asText().replaceAll("\\D+(\\d+).*", "$1"));
            for (JsonNode row : corrections.get("rows")) {
                if (row.get(0).asText().equals(network)
                        && row.get(3).asInt() == script.path("batch").asInt()) {
                    double ms =
                            1e3 * row.get(5).asDouble() * script.path("samples").asInt() / samples;
                    String errors = row.get(2).asText().equals("yes") ? "" : ", without errors";
                    row(table, network, "rebias: " + row.get(1).asText() + errors, ms, ms / best);
                }
            }
        }
    }

    private static void row(Findings.Table table, String network, String what, double ms, double u) {
        table.row(network, what, String.format(Locale.ROOT, "%.1f", ms), String.format(Locale.ROOT, "%.2f", u));
    }

    private static void copies(Findings findings, JsonNode script, Path out) throws IOException {
        Path file = out.resolve(Step.MOMENTS.id() + ".json");
        if (!Files.exists(file) || !script.has("copy GB/s")) {
            return;
        }
        double copy = script.get("copy GB/s").asDouble();
        Findings.Table table = findings.table("in units of the script's copy", "what", "shape", "GB/s", "of the copy");
        for (JsonNode row : Findings.JSON.readTree(file.toFile()).at("/tables/0/rows")) {
            double speed = row.get(3).asDouble();
            table.row(
                    row.get(0).asText(),
                    row.get(1).asText(),
                    row.get(3).asText(),
                    String.format(Locale.ROOT, "%.0f %%", 100 * speed / copy));
        }
    }
}
