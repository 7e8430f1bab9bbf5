package dev.rebias.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.error.Failure;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.files.OutputFile;
import dev.rebias.report.JsonReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The report of a batch's job, as it lies in the batch's folder: whether it is there and what it was made for decide
 * whether the job is done again.
 *
 * @param json the whole of it
 */
record JobReport(JsonNode json) {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** A report; empty where there is none, or something that is no report. */
    static Optional<JobReport> read(Path file) {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            JsonNode json = MAPPER.readTree(Files.readAllBytes(file));
            return json.path("rebias").isTextual() ? Optional.of(new JobReport(json)) : Optional.empty();
        } catch (JsonProcessingException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw new RebiasException("report '" + file + "' cannot be read: " + Failure.reason(e), e);
        }
    }

    /** Whether it tells of that request. */
    static Predicate<JobReport> madeFor(String request) {
        return report -> !request.isEmpty() && request.equals(report.request());
    }

    private String request() {
        return json.path("error")
                .path("request")
                .asText(json.path("provenance").path("request").asText());
    }

    /** Whether a report says that this request was refused. */
    static boolean refuses(Path file, String request) {
        return read(file)
                .filter(madeFor(request))
                .filter(r -> r.isUnsupported() || r.isUnpublished())
                .isPresent();
    }

    private boolean isUnsupported() {
        return json.path("error").path("exitCode").asInt() == 4;
    }

    private boolean isUnpublished() {
        return json.path("verdict").isObject()
                && !json.path("verdict").path("published").asBoolean();
    }

    /**
     * Refuses again what was refused for reasons that lie in the files and options themselves.
     *
     * @throws UnsupportedException if it was not supported
     * @throws QualityGateException if a gate was missed
     */
    void requireNotRefused() {
        JsonNode error = json.path("error");
        if (error.path("exitCode").asInt() == 4) {
            throw new UnsupportedException(error.path("message").asText());
        }
        if (json.path("verdict").isObject()
                && !json.path("verdict").path("published").asBoolean()) {
            throw new QualityGateException(json.path("verdict").path("sentence").asText());
        }
    }

    static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new RebiasException("report '" + file + "' cannot be replaced: " + Failure.reason(e), e);
        }
    }

    /**
     * Reports a failure; that it cannot be reported is the lesser one.
     *
     * @param request what was asked for; empty where that is not known
     */
    static void writeFailure(Path file, RebiasException failure, String request) {
        try {
            OutputFile.check(file, List.of(), true).write(JsonReport.write(JsonReport.of(failure, request)));
        } catch (RebiasException e) {
            failure.addSuppressed(e);
        }
    }
}
