package dev.rebias.report;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

/** The report's layers as CSV (RFC 4180), one line each, under the names that the JSON report has for them. */
public final class CsvReport {
    private static final List<String> COLUMNS = List.of(
            "name",
            "output",
            "op",
            "channels",
            "status",
            "reason",
            "mseBefore",
            "mseAfter",
            "signalPower",
            "sqnrBefore",
            "sqnrAfter",
            "biasShare",
            "maxAbsDelta",
            "weightsMoved",
            "weightsKept",
            "mseWithBias");

    private CsvReport() {}

    /**
     * Writes the layers.
     *
     * @param report the tree of {@link JsonReport}
     * @return UTF-8; a number that does not exist is an empty field
     */
    public static byte[] write(JsonNode report) {
        StringBuilder out = new StringBuilder(String.join(",", COLUMNS)).append("\r\n");
        for (JsonNode layer : report.path("layers")) {
            out.append(COLUMNS.stream().map(c -> field(layer.path(c))).collect(Collectors.joining(",")))
                    .append("\r\n");
        }
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static String field(JsonNode value) {
        if (value.isMissingNode() || value.isNull()) {
            return "";
        }
        return value.isTextual() ? field(value.asText()) : value.asText();
    }

    /** A text as a field, with quotes where it needs them. */
    static String field(String value) {
        String text = value;
        // A spreadsheet would take a name that begins so for a formula.
        if (!text.isEmpty() && "=+-@\t\r".indexOf(text.charAt(0)) >= 0) {
            text = "'" + text;
        }
        return text.chars().anyMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r')
                ? '"' + text.replace("\"", "\"\"") + '"'
                : text;
    }
}
