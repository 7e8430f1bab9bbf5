package dev.rebias.batch;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystems;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * A list of jobs. Keys are the options of {@code correct} without their dashes, and {@code output}; paths of inputs are
 * relative to the manifest's folder; where {@code quantized} is a pattern there is a job for each file that fits it,
 * and {@code {folder}} and {@code {name}} stand for that file's folder and its name without suffix.
 */
public final class Manifest {
    private static final String QUANTIZED = "quantized";
    private static final String OUTPUT = "output";
    /** Names at the top of the batch's folder that are not a job's. */
    private static final Set<String> RESERVED = Set.of("summary.html", "summary.csv", "jobs.json");

    private static final int MOST_JOBS = 100_000;

    private final Path file;
    private final Path folder;
    private final OptionKinds options;
    private final List<Job> jobs = new ArrayList<>();
    /** The output's name and the place of the job that has it. */
    private final Map<String, String> outputs = new HashMap<>();

    private Manifest(Path file, OptionKinds options) {
        this.file = file;
        this.folder = file.toAbsolutePath().getParent();
        this.options = options;
    }

    /**
     * Reads a manifest.
     *
     * @param options what jobs may have
     * @throws UsageException if it is missing or no manifest, a key is unknown, a value is none for its key, a pattern
     *     fits nothing, or an output's name is taken or leads out of the batch's folder
     */
    public static List<Job> read(Path file, OptionKinds options) {
        Manifest manifest = new Manifest(file, options);
        ManifestReader.read(file).forEach(manifest::add);
        manifest.requireNoOutputBelowAnother();
        return List.copyOf(manifest.jobs);
    }

    private void add(ManifestEntry entry) {
        List<String> quantized = entry.values().get(QUANTIZED);
        if (quantized == null) {
            throw entry.wrong("it has no '" + QUANTIZED + "', the model to correct");
        }
        String pattern = single(entry, QUANTIZED);
        Path literal = path(entry, QUANTIZED, pattern);
        if (Files.exists(literal) || pattern.chars().noneMatch(c -> "*?[{".indexOf(c) >= 0)) {
            addJob(entry, literal);
            return;
        }
        List<Path> found = matching(entry, pattern);
        if (found.isEmpty()) {
            throw entry.wrong("no file fits '" + QUANTIZED + ": " + pattern + "'");
        }
        found.forEach(f -> addJob(entry, f));
    }

    private void addJob(ManifestEntry entry, Path quantized) {
        if (jobs.size() == MOST_JOBS) {
            throw new UsageException("manifest '" + file + "' has more than " + MOST_JOBS + " jobs: split it");
        }
        Map<String, String> given = new LinkedHashMap<>();
        String output = "";
        for (Map.Entry<String, List<String>> value : entry.values().entrySet()) {
            String key = value.getKey();
            if (key.equals(OUTPUT)) {
                output = filled(single(entry, OUTPUT), quantized);
                continue;
            }
            OptionKinds.Kind kind = options.kinds().get(key);
            if (kind == null) {
                throw entry.wrong("the key '" + key + "' is unknown: a job has 'output' and the options of "
                        + "'rebias correct' without their dashes, but not those that a batch decides ('device', "
                        + "'report', 'quiet', 'all', 'skip-existing')");
            }
            switch (kind) {
                case FLAG -> {
                    if (flag(entry, key)) {
                        given.put("--" + key, "");
                    }
                }
                case INPUT ->
                    given.put(
                            "--" + key,
                            key.equals(QUANTIZED)
                                    ? quantized.toString()
                                    : path(entry, key, filled(single(entry, key), quantized))
                                            .toString());
                case LIST -> given.put("--" + key, String.join(",", value.getValue()));
                case VALUE -> given.put("--" + key, single(entry, key));
                default -> throw new IllegalStateException(kind.toString());
            }
            if (kind != OptionKinds.Kind.FLAG && given.get("--" + key).isEmpty()) {
                throw entry.wrong("'" + key + "' is empty");
            }
        }
        String name = output(entry, output.isEmpty() ? usualOutput(quantized) : output);
        String other = outputs.putIfAbsent(name, entry.where());
        if (other != null) {
            throw entry.wrong("the output '" + name + "' is also that of " + other
                    + ": give one of them another name, with 'output'");
        }
        jobs.add(new Job(name, entry.where(), given));
    }

    private static String single(ManifestEntry entry, String key) {
        List<String> values = entry.values().get(key);
        if (values.size() != 1) {
            throw entry.wrong("'" + key + "' takes one value, and is given " + values.size());
        }
        return values.get(0);
    }

    private static boolean flag(ManifestEntry entry, String key) {
        String value = single(entry, key);
        if (!value.equals("true") && !value.equals("false")) {
            throw entry.wrong("'" + key + "' is true or false, not '" + value + "'");
        }
        return value.equals("true");
    }

    private Path path(ManifestEntry entry, String key, String value) {
        try {
            return folder.resolve(value).normalize();
        } catch (InvalidPathException e) {
            throw entry.wrong("'" + key + "' is no path: " + e.getReason());
        }
    }

    private static String filled(String template, Path quantized) {
        String name = quantized.getFileName().toString();
        int suffix = name.lastIndexOf('.');
        return template.replace("{folder}", quantized.getParent().toString())
                .replace("{name}", suffix > 0 ? name.substring(0, suffix) : name);
    }

    /** As the quantised file is called: with the folders that lead to it from the manifest's, where it lies there. */
    private String usualOutput(Path quantized) {
        return (quantized.startsWith(folder.normalize())
                        ? folder.normalize().relativize(quantized)
                        : quantized.getFileName())
                .toString();
    }

    private static String output(ManifestEntry entry, String name) {
        try {
            Path path = Path.of(name);
            Path normal = path.normalize();
            if (path.isAbsolute()
                    || normal.startsWith("..")
                    || normal.toString().isEmpty()
                    || name.endsWith("/")) {
                throw entry.wrong("the output '" + name
                        + "' is no file below the folder of --out: give a relative name without '..'");
            }
            if (RESERVED.contains(normal.toString()) || name.endsWith(Job.REPORT)) {
                throw entry.wrong("the output '" + name + "' has the name of a file that the batch itself writes: "
                        + "choose another");
            }
            return normal.toString();
        } catch (InvalidPathException e) {
            throw entry.wrong("the output '" + name + "' is no path: " + e.getReason());
        }
    }

    /** An output cannot be a folder of others. */
    private void requireNoOutputBelowAnother() {
        Set<String> folders = new HashSet<>();
        for (Job job : jobs) {
            for (Path p = Path.of(job.output()).getParent(); p != null; p = p.getParent()) {
                folders.add(p.toString());
            }
        }
        for (Job job : jobs) {
            if (folders.contains(job.output())) {
                throw new UsageException(
                        job.where() + ": the output '" + job.output() + "' is also the folder of another job's output");
            }
        }
    }

    /** The files that fit a pattern, in the order of their names; links are followed. */
    private List<Path> matching(ManifestEntry entry, String pattern) {
        int from = 0;
        for (int slash = pattern.indexOf('/'); slash >= 0; slash = pattern.indexOf('/', from)) {
            String part = pattern.substring(from, slash + 1);
            if (part.chars().anyMatch(c -> "*?[{\\".indexOf(c) >= 0)) {
                break;
            }
            from = slash + 1;
        }
        Path top = path(entry, QUANTIZED, pattern.substring(0, from));
        String rest = pattern.substring(from);
        int depth = rest.contains("**") ? Integer.MAX_VALUE : rest.split("/").length;
        if (!Files.isDirectory(top)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(top, depth, FileVisitOption.FOLLOW_LINKS)) {
            PathMatcher matcher = FileSystems.getDefault().getPathMatcher("glob:" + rest);
            return files.filter(f -> matcher.matches(top.relativize(f)))
                    .filter(Files::isRegularFile)
                    .limit(MOST_JOBS + 1L)
                    .sorted()
                    .toList();
        } catch (PatternSyntaxException e) {
            throw entry.wrong("'" + QUANTIZED + ": " + pattern + "' is no pattern: " + e.getDescription());
        } catch (IOException e) {
            throw new RebiasException(entry.where() + ": '" + top + "' cannot be listed: " + Failure.reason(e), e);
        } catch (UncheckedIOException e) {
            throw new RebiasException(
                    entry.where() + ": '" + top + "' cannot be listed: " + Failure.reason(e.getCause()), e);
        }
    }
}
