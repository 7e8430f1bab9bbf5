package dev.rebias.spark;

import dev.rebias.Version;
import dev.rebias.cli.BatchJobs;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.report.OptionNames;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code spark-submit --class dev.rebias.spark.Correct rebias-spark.jar MANIFEST DIR}: corrects the jobs of a manifest,
 * a task each, or several tasks each. Exit codes are those of {@code rebias batch}.
 */
@Command(
        name = "dev.rebias.spark.Correct",
        description = "Corrects many models on a Spark cluster: the jobs of a manifest of 'rebias batch', a task each. "
                + "What is there from equal files with equal options is left as it is, so the same command goes on "
                + "where an earlier one stopped. All paths must lead to the same files on every machine.",
        mixinStandardHelpOptions = true,
        versionProvider = Correct.VersionText.class,
        sortOptions = false)
public final class Correct implements Callable<Integer> {
    private static final int FAILURE = 1;

    @Parameters(index = "0", paramLabel = "MANIFEST", description = "The list of jobs: .yaml, .jsonl or .csv.")
    private Path manifest;

    @Parameters(
            index = "1",
            paramLabel = "DIR",
            description = "The folder of the corrected models and their reports, which all machines see.")
    private Path folder;

    @Option(
            names = "--parts",
            defaultValue = "1",
            paramLabel = "N",
            description = "For samples that one machine cannot hold: N tasks do each job together, each with a part of "
                    + "its samples. N task slots must be free at once (default: ${DEFAULT-VALUE}).")
    private int parts;

    private final PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    private final PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);

    private Correct() {}

    /** What {@code --version} prints. */
    static final class VersionText implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"rebias " + Version.current()};
        }
    }

    public static void main(String[] arguments) {
        int exitCode = new CommandLine(new Correct())
                .setExecutionExceptionHandler((e, line, parsed) -> failed(e, line.getErr()))
                .execute(arguments);
        // Spark takes a driver that exits for one that failed.
        if (exitCode != 0) {
            System.exit(exitCode);
        }
    }

    private static int failed(Exception e, PrintWriter err) {
        if (e instanceof RebiasException known) {
            err.println("rebias: " + PrintableText.sentence(OptionNames.inText(known.getMessage())));
            return known.exitCode();
        }
        e.printStackTrace(err);
        return FAILURE;
    }

    @Override
    public Integer call() {
        if (parts < 1) {
            throw new UsageException("--parts " + parts + " is not possible: give 1 or more");
        }
        BatchJobs jobs = BatchJobs.read(manifest, folder.toAbsolutePath(), err);
        SparkConf conf = new SparkConf().setIfMissing("spark.app.name", "rebias " + manifest.getFileName());
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            return SparkBatch.correct(spark, jobs, parts, out);
        }
    }
}
