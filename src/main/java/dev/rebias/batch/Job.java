package dev.rebias.batch;

import dev.rebias.files.Sha256;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One correction of a batch.
 *
 * @param output where the corrected model goes: a path below the batch's folder, with {@code /}, by which the job is
 *     known; no two jobs have the same
 * @param where the place in the manifest, for messages
 * @param options options of {@code correct} and their values, without {@code --output}; an empty value stands for a
 *     flag's presence
 */
public record Job(String output, String where, Map<String, String> options) implements Serializable {
    /** What a report's name adds to that of the output it tells of. */
    public static final String REPORT = ".report.json";

    public Job {
        options = new LinkedHashMap<>(options);
    }

    /** The corrected model. */
    public Path file(Path folder) {
        return folder.resolve(output);
    }

    /** What is told of this job. */
    public Path report(Path folder) {
        return folder.resolve(output + REPORT);
    }

    /** The arguments of {@code correct}. */
    public List<String> arguments(Path folder) {
        List<String> arguments = new ArrayList<>();
        options.forEach((name, value) -> arguments.add(value.isEmpty() ? name : name + "=" + value));
        arguments.add("--output=" + file(folder));
        return arguments;
    }

    /** The hash by which jobs are shared out: of the output's name, so it is the same wherever the job runs. */
    String hash() {
        return Sha256.of(output.getBytes(StandardCharsets.UTF_8));
    }
}
