package dev.rebias.cli;

import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.BatchSummary;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code rebias batch summary}: one page and one table of all reports of a batch, whichever shares made them. */
@Command(
        name = "summary",
        description = "Joins all reports of a batch: summary.html for people, failures first, and summary.csv. Exits "
                + "with 0 if every job is done, else with the first of 1, 3, 2, 4, 5 that a job ended with; one "
                + "that has not run counts as 1.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class BatchSummaryCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DIR", description = "The batch's folder.")
    private Path folder;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        if (!Files.isDirectory(folder)) {
            throw BatchCommand.notAFolder(folder);
        }
        return print(folder, spec.commandLine().getOut());
    }

    /**
     * Writes the page and the table, and prints which jobs are not done.
     *
     * @return the exit code
     */
    static int print(Path folder, PrintWriter out) {
        List<BatchSummary.Row> rows = BatchFolder.read(folder);
        if (rows.isEmpty()) {
            throw new UsageException("'" + folder + "' has no reports: run 'rebias batch' first");
        }
        write(folder, rows);
        for (BatchSummary.Row row : BatchSummary.sorted(rows)) {
            if (row.exitCode() != 0) {
                out.println(PrintableText.format("%s: %s: %s", row.output(), row.state(), row.sentence()));
            }
        }
        out.println(BatchSummary.counts(rows));
        out.println(PrintableText.format("wrote %s and summary.csv", folder.resolve("summary.html")));
        out.flush();
        return BatchRun.exitCode(rows.stream()
                .map(BatchSummary.Row::exitCode)
                .filter(c -> c != 0)
                .toList());
    }

    static void write(Path folder, List<BatchSummary.Row> rows) {
        OutputFile.check(folder.resolve("summary.html"), List.of(), true).write(BatchSummary.html(rows));
        OutputFile.check(folder.resolve("summary.csv"), List.of(), true).write(BatchSummary.csv(rows));
    }
}
