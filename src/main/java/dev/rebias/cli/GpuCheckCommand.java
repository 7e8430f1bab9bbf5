package dev.rebias.cli;

import dev.rebias.check.CardSteps;
import dev.rebias.check.GpuCheck;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias gpu-check}: whether a card computes what it should, and how fast, within minutes. */
@Command(
        name = "gpu-check",
        description =
                "Tries everything on a GPU within a given time: is it right, and what is reached of what it can do.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class GpuCheckCommand implements Callable<Integer> {
    @Option(
            names = "--budget",
            paramLabel = "T",
            defaultValue = "420s",
            description = "Seconds, or e.g. 10m, for all steps together (default: ${DEFAULT-VALUE}).")
    private String budget;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "gpu-check",
            description = "The folder for logs, JUnit's reports, summary.json and summary.md (default: "
                    + "${DEFAULT-VALUE}). Steps that were run before keep their place in the summary.")
    private Path out;

    @Option(names = "--only", paramLabel = "STEP", description = "Only this step; several with commas.")
    private Optional<String> only = Optional.empty();

    @Option(names = "--from", paramLabel = "STEP", description = "This step and those behind it.")
    private Optional<String> from = Optional.empty();

    @Option(
            names = "--baseline",
            paramLabel = "SCRIPT",
            description = "A Python script that does the same work in PyTorch on the card; its figures go beside ours.")
    private Optional<Path> baseline = Optional.empty();

    @Option(names = "--run", hidden = true, description = "One step, in this process.")
    private Optional<String> run = Optional.empty();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        Path folder = out.toAbsolutePath().normalize();
        if (run.isPresent()) {
            Files.createDirectories(folder);
            CardSteps.run(GpuCheck.step(run.get()), folder);
            return 0;
        }
        baseline.filter(script -> !Files.isReadable(script)).ifPresent(script -> {
            throw new UsageException("the script '" + script + "' cannot be read");
        });
        Path home = Path.of(System.getProperty("rebias.home", ".")).toAbsolutePath();
        String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
        return GpuCheck.run(
                new GpuCheck.Plan(
                        TimeOption.of("--budget", budget).toSeconds(),
                        folder,
                        GpuCheck.steps(only, from),
                        baseline,
                        home,
                        path),
                spec.commandLine().getOut());
    }
}
