package dev.rebias.cli;

import dev.rebias.Version;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.device.cuda.CudaCards;
import dev.rebias.device.cuda.CudaInstallation;
import dev.rebias.device.cuda.CudaLibraries;
import dev.rebias.device.cuda.MappedLibraries;
import dev.rebias.device.cuda.SelfTest;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.QualityGateException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias doctor}: what this machine has for rebias, and what would make it better. */
@Command(
        name = "doctor",
        description = "Says which devices can be used here, and what is missing for the others.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class DoctorCommand implements Callable<Integer> {
    @Option(
            names = "--deep",
            description = "Also run convolutions and every kernel on the GPU and compare them with the CPU.")
    private boolean deep;

    @Option(
            names = "--device",
            paramLabel = "D",
            defaultValue = "cuda:0",
            description = "The GPU for --deep, cuda:N (default: ${DEFAULT-VALUE}).")
    private String device;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        out.println("rebias " + Version.current() + ", Java " + System.getProperty("java.version") + " on "
                + System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        try (CpuDevice cpu = new CpuDevice()) {
            out.println("cpu   ready: " + cpu.info().name() + ", "
                    + Runtime.getRuntime().availableProcessors() + " cores");
        }
        Optional<String> missing = CudaLibraries.missing();
        Map<String, String> versions = CudaLibraries.versions();
        out.println("cuda  " + (missing.isEmpty() ? "libraries ready" : "not ready"));
        origin(out);
        for (CudaLibraries.Library library : CudaLibraries.all()) {
            if (library.found()) {
                out.println(line(
                        library,
                        "found "
                                + Optional.ofNullable(versions.get(library.name()))
                                        .orElse("")));
            } else {
                out.println(line(library, "not found: " + library.problem().orElseThrow()));
                out.println("        -> " + library.remedy());
            }
        }
        files(out);
        if (missing.isEmpty()) {
            cards(out);
        }
        out.flush();
        if (deep) {
            deep(out, missing);
        }
        return 0;
    }

    /** What is mapped, and what of it does not go together. */
    private static Optional<String> files(PrintWriter out) {
        MappedLibraries mapped = MappedLibraries.now();
        for (MappedLibraries.LibraryFile file : mapped.files()) {
            out.println(String.format(
                    Locale.ROOT,
                    "      mapped %-20s %-15s %s",
                    file.family(),
                    file.version().orElse("-"),
                    file.path()));
        }
        Optional<String> conflict = mapped.conflict();
        conflict.ifPresent(text -> out.println("      -> " + text));
        return conflict;
    }

    /** Where the libraries come from, or what the places lack that have some. */
    private static void origin(PrintWriter out) {
        CudaInstallation.Search search = CudaInstallation.onThisMachine();
        search.taken()
                .ifPresent(i -> out.println("      taken from " + i.origin() + ": "
                        + i.folders().stream().map(Path::toString).collect(Collectors.joining(", "))));
        search.incomplete().forEach(text -> out.println("      passed over: " + text));
    }

    private static String line(CudaLibraries.Library library, String text) {
        return String.format(Locale.ROOT, "      %-27s %-18s %s", library.name(), library.file(), text);
    }

    private static void cards(PrintWriter out) {
        List<CudaCards.Card> cards = CudaCards.all();
        if (cards.isEmpty()) {
            out.println("      the driver knows no GPU");
        }
        for (CudaCards.Card card : cards) {
            out.println(String.format(
                    Locale.ROOT,
                    "      cuda:%d is %s, %s, %.1f GiB%s",
                    card.ordinal(),
                    card.name(),
                    card.architecture(),
                    card.memoryBytes() / (double) (1 << 30),
                    card.emulated() ? " - the emulator, a test instrument, no GPU" : ""));
        }
    }

    private void deep(PrintWriter out, Optional<String> missing) {
        if (missing.isPresent()) {
            throw new DeviceUnavailableException("no GPU can be used: " + missing.get());
        }
        if (!device.matches("cuda(:\\d{1,3})?")) {
            throw new dev.rebias.error.UsageException("device '" + device + "' is no GPU: use cuda:N");
        }
        int ordinal = device.contains(":") ? Integer.parseInt(device.substring(device.indexOf(':') + 1)) : 0;
        int failed = 0;
        SelfTest.Result result = SelfTest.run(ordinal);
        for (SelfTest.Outcome outcome : result.outcomes()) {
            out.println(String.format(
                    Locale.ROOT,
                    "      %-44s largest difference %.1e, %5.1f %% of the bound%s",
                    outcome.name(),
                    outcome.difference(),
                    100 * outcome.share(),
                    outcome.passed() ? "" : "  FAILED"));
            failed += outcome.passed() ? 0 : 1;
        }
        out.println("      " + result.compilation());
        // Some libraries are loaded by others, when these first need them.
        out.println("      libraries after that:");
        Optional<String> conflict = files(out);
        out.flush();
        if (conflict.isPresent()) {
            throw new DeviceUnavailableException(conflict.get());
        }
        if (failed > 0) {
            throw new QualityGateException(failed + " of the checks found that cuda:" + ordinal
                    + " computes something else than the CPU: please report it with the lines above");
        }
    }
}
