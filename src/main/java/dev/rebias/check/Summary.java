package dev.rebias.check;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.Version;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** {@code summary.json} and {@code summary.md}: all steps that a folder has results of, those of earlier runs too. */
final class Summary {
    private static final String JSON = "summary.json";
    private static final String TEXT = "summary.md";
    /** Longer tables are in summary.json alone. */
    private static final int ROWS = 120;

    private final Path folder;
    private final ObjectNode all;

    Summary(Path folder) throws IOException {
        this.folder = folder;
        Path before = folder.resolve(JSON);
        this.all = Files.exists(before)
                ? (ObjectNode) Findings.JSON.readTree(before.toFile())
                : Findings.JSON.createObjectNode();
        all.put("rebias", Version.current());
        if (!all.has("steps")) {
            all.putObject("steps");
        }
    }

    /** Takes in a step's outcome with its findings, and writes both files. */
    void add(Outcome outcome) throws IOException {
        ObjectNode node = outcome.json();
        Path findings = folder.resolve(outcome.step().id() + ".json");
        if (Files.exists(findings)) {
            node.set("findings", Findings.JSON.readTree(findings.toFile()));
        }
        ((ObjectNode) all.get("steps")).set(outcome.step().id(), node);
        all.put("verdict", verdict());
        Findings.replace(folder.resolve(JSON), all);
        Files.writeString(folder.resolve(TEXT), text());
    }

    /** {@code right}, {@code WRONG}, or {@code not all checked}, of the steps that decide. */
    String verdict() {
        boolean complete = true;
        for (Step step : Step.values()) {
            JsonNode node = all.get("steps").get(step.id());
            String status = node == null ? "" : node.get("status").asText();
            if (status.equals(Outcome.Status.FAILED.text())) {
                return "WRONG";
            }
            complete &= !step.decides() || status.equals(Outcome.Status.PASSED.text());
        }
        return complete ? "right" : "not all checked";
    }

    private String text() {
        StringBuilder out = new StringBuilder();
        JsonNode steps = all.get("steps");
        out.append("# rebias on this card: ").append(verdict()).append("\n\n");
        JsonNode environment = steps.at("/environment/findings/facts");
        if (environment.path("emulated").asText().equals("true")) {
            out.append("**Made on the emulator, a test instrument: no figure here says anything about a GPU.**\n\n");
        }
        out.append("rebias ").append(all.get("rebias").asText());
        if (environment.has("card")) {
            out.append(", ").append(environment.get("card").asText());
        }
        out.append("\n\n| step | what | outcome | s | |\n|---|---|---|---|---|\n");
        for (Step step : Step.values()) {
            JsonNode node = steps.get(step.id());
            out.append("| ")
                    .append(step.id())
                    .append(" | ")
                    .append(step.title())
                    .append(" | ");
            out.append(
                    node == null
                            ? "not run | | |"
                            : String.format(
                                    Locale.ROOT,
                                    "%s | %.0f of %d | %s |",
                                    node.get("status").asText(),
                                    node.get("seconds").asDouble(),
                                    node.get("limitSeconds").asLong(),
                                    escaped(node.get("note").asText())));
            out.append("\n");
        }
        for (Step step : Step.values()) {
            JsonNode findings = steps.path(step.id()).path("findings");
            if (!findings.isMissingNode()) {
                section(out, step, findings);
            }
        }
        return out.toString();
    }

    private static void section(StringBuilder out, Step step, JsonNode findings) {
        out.append("\n## ").append(step.id()).append(": ").append(step.title()).append("\n");
        for (JsonNode failure : findings.path("failures")) {
            out.append("\n**").append(failure.asText()).append("**\n");
        }
        if (!findings.path("facts").isEmpty()) {
            out.append("\n");
            findings.get("facts").properties().forEach(f -> out.append("* ")
                    .append(f.getKey())
                    .append(": ")
                    .append(f.getValue().asText())
                    .append("\n"));
        }
        for (JsonNode table : findings.path("tables")) {
            table(out, table);
        }
    }

    private static void table(StringBuilder out, JsonNode table) {
        ArrayNode rows = (ArrayNode) table.get("rows");
        if (rows.isEmpty()) {
            return;
        }
        out.append("\n").append(table.get("title").asText()).append(":\n\n");
        List<String> columns = new ArrayList<>();
        table.get("columns").forEach(c -> columns.add(c.asText()));
        out.append("| ").append(String.join(" | ", columns)).append(" |\n");
        out.append("|---".repeat(columns.size())).append("|\n");
        for (int i = 0; i < Math.min(rows.size(), ROWS); i++) {
            List<String> cells = new ArrayList<>();
            rows.get(i).forEach(c -> cells.add(escaped(c.asText())));
            out.append("| ").append(String.join(" | ", cells)).append(" |\n");
        }
        if (rows.size() > ROWS) {
            out.append("\n")
                    .append(rows.size() - ROWS)
                    .append(" more rows in ")
                    .append(JSON)
                    .append("\n");
        }
    }

    private static String escaped(String cell) {
        return cell.replace("|", "\\|").replace("\n", " ");
    }
}
