package dev.rebias.report;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.error.UsageException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** The forms of a report that files have, each known by the end of the file's name. */
public enum ReportFormat {
    /** For programs. */
    JSON,
    /** For people: one page. */
    HTML,
    /** For spreadsheets: a line per layer. */
    CSV;

    /**
     * The form that a file's name asks for.
     *
     * @throws UsageException if it is none of these
     */
    public static ReportFormat of(Path file) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        Optional<ReportFormat> format = Stream.of(values())
                .filter(f -> name.endsWith("." + f.name().toLowerCase(Locale.ROOT)))
                .findFirst();
        return format.orElseThrow(
                () -> new UsageException("report '" + file + "' has an unknown format: name it .json, .html or .csv"));
    }

    /** A report ({@link JsonReport}) in this form. */
    public byte[] write(ObjectNode report) {
        return switch (this) {
            case JSON -> JsonReport.write(report);
            case HTML -> HtmlReport.write(report);
            case CSV -> CsvReport.write(report);
        };
    }
}
