package dev.rebias.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.JsonReport;
import dev.rebias.report.ReportFormat;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Where reports go: files, each in the form that its name asks for, and standard output for {@code -}, in JSON. */
final class ReportFiles {
    /** Stands for standard output. */
    static final Path STANDARD_OUTPUT = Path.of("-");

    private final Map<OutputFile, ReportFormat> files = new LinkedHashMap<>();
    private final boolean toStandardOutput;
    private final PrintWriter standardOutput;

    /**
     * Checks that they can be written.
     *
     * @param taken the files that must not be written over
     * @param force whether existing files may be replaced
     * @param standardOutput where {@code -} goes
     * @throws UsageException if a name says no form, or a file may not be written
     */
    ReportFiles(List<Path> paths, List<Path> taken, boolean force, PrintWriter standardOutput) {
        List<Path> all = new ArrayList<>(taken);
        for (Path path : paths) {
            if (path.equals(STANDARD_OUTPUT)) {
                continue;
            }
            files.put(OutputFile.check(path, all, force), ReportFormat.of(path));
            all.add(path);
        }
        this.toStandardOutput = paths.contains(STANDARD_OUTPUT);
        this.standardOutput = standardOutput;
    }

    /** Whether standard output is a report's alone, and all else goes to standard error. */
    boolean takeStandardOutput() {
        return toStandardOutput;
    }

    /** Writes them all. */
    void write(ObjectNode report) {
        files.forEach((file, format) -> file.write(format.write(report)));
        if (toStandardOutput) {
            standardOutput.print(new String(JsonReport.write(report), StandardCharsets.UTF_8));
            standardOutput.flush();
        }
    }
}
