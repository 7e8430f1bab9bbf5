package dev.rebias.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.rebias.batch.Job;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.BatchSummary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;

/** What lies in a batch's folder: reports beside outputs, and {@code jobs.json}, the outputs' names of all jobs. */
final class BatchFolder {
    private static final String JOBS = "jobs.json";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private BatchFolder() {}

    /** Writes the list of all jobs, by which a summary knows which are missing. Every share writes the same. */
    static void writeJobs(Path folder, List<Job> jobs) {
        ArrayNode names = MAPPER.createArrayNode();
        jobs.forEach(j -> names.add(j.output()));
        OutputFile.check(folder.resolve(JOBS), List.of(), true)
                .write((names.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    }

    /**
     * The rows of a summary: of every job, and of every report that is there besides.
     *
     * @throws RebiasException if the folder cannot be read
     */
    static List<BatchSummary.Row> read(Path folder) {
        TreeSet<String> outputs = new TreeSet<>();
        try (Stream<Path> files = Files.walk(folder)) {
            Path list = folder.resolve(JOBS);
            if (Files.isRegularFile(list)) {
                for (JsonNode name : MAPPER.readTree(Files.readAllBytes(list))) {
                    outputs.add(name.asText());
                }
            }
            files.filter(Files::isRegularFile)
                    .map(f -> folder.relativize(f).toString())
                    .filter(f -> f.endsWith(Job.REPORT))
                    .map(f -> f.substring(0, f.length() - Job.REPORT.length()))
                    .forEach(outputs::add);
        } catch (IOException e) {
            throw new RebiasException("'" + folder + "' cannot be read: " + Failure.reason(e), e);
        } catch (UncheckedIOException e) {
            throw new RebiasException("'" + folder + "' cannot be read: " + Failure.reason(e.getCause()), e);
        }
        List<BatchSummary.Row> rows = new ArrayList<>();
        outputs.forEach(o -> rows.add(row(folder, o)));
        return rows;
    }

    /** The row of one job. */
    static BatchSummary.Row row(Path folder, String output) {
        Optional<JobReport> report = JobReport.read(folder.resolve(output + Job.REPORT));
        return BatchSummary.Row.of(output, report.map(JobReport::json));
    }
}
