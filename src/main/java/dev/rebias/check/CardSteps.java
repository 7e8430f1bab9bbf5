package dev.rebias.check;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.Version;
import dev.rebias.device.Upcoming;
import dev.rebias.device.cuda.CudaCards;
import dev.rebias.device.cuda.CudaInstallation;
import dev.rebias.device.cuda.CudaLibraries;
import dev.rebias.device.cuda.KernelCompiler;
import dev.rebias.device.cuda.KernelTimes;
import dev.rebias.device.cuda.LibraryProbe;
import dev.rebias.device.cuda.MappedLibraries;
import dev.rebias.device.cuda.MomentsSpeed;
import dev.rebias.device.cuda.ProbeRow;
import dev.rebias.device.cuda.SelfTest;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.RebiasException;
import dev.rebias.model.OnnxModel;
import dev.rebias.sweep.Reference;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/** The steps that use the card from this process. */
public final class CardSteps {
    /** All the probe's rows; {@link SupportTable} is what the emulator reads. */
    static final String PROBE_TABLE = "probe.tsv";

    /** The fact that names the emulator's folder. */
    static final String EMULATOR = "emulator";

    /**
     * The property with which the step moments makes every call once: a profiler then sees each kernel on each shape.
     */
    static final String ONCE = "rebias.moments.once";

    private static final String PROBE_TRYING = "probe.trying";
    private static final long CARD_ELEMENTS = 1L << 28;
    private static final long EMULATOR_ELEMENTS = 1L << 16;

    private final Path out;
    private final Findings findings;

    private CardSteps(Path out, Findings findings) {
        this.out = out;
        this.findings = findings;
    }

    /**
     * Runs one of them and leaves its findings in the folder.
     *
     * @throws DeviceUnavailableException if there is no card
     */
    public static void run(Step step, Path out) throws IOException {
        Findings findings = new Findings(out.resolve(step.id() + ".json"));
        CardSteps steps = new CardSteps(out, findings);
        CudaLibraries.missing().ifPresent(problem -> {
            throw new DeviceUnavailableException("no GPU can be used: " + problem);
        });
        List<CudaCards.Card> cards = CudaCards.all();
        if (cards.isEmpty()) {
            throw new DeviceUnavailableException("the NVIDIA driver knows no GPU: see 'nvidia-smi'");
        }
        CudaCards.Card card = cards.get(0);
        switch (step) {
            case ENVIRONMENT -> steps.environment(card);
            case DOCTOR -> steps.doctor();
            case PROBE -> steps.probe(card);
            case CORRECTIONS ->
                Corrections.run(findings, card.emulated() ? Corrections.Size.EMULATOR : Corrections.Size.CARD);
            case MOMENTS -> steps.moments(card);
            case KERNELS -> steps.kernels(card);
            default -> throw new IllegalArgumentException("step " + step.id() + " runs in another program");
        }
        findings.complete();
    }

    private void environment(CudaCards.Card card) throws IOException {
        findings.fact("rebias", Version.current());
        findings.fact("Java", System.getProperty("java.version"));
        findings.fact("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        findings.fact("processors", Integer.toString(Runtime.getRuntime().availableProcessors()));
        findings.fact(
                "card",
                card.name() + ", " + card.architecture() + ", "
                        + String.format(Locale.ROOT, "%.1f GiB", card.memoryBytes() / (double) (1 << 30)));
        findings.fact("emulated", Boolean.toString(card.emulated()));
        CudaInstallation.onThisMachine()
                .taken()
                .ifPresent(i -> findings.fact(
                        "libraries taken from",
                        i.origin() + ": "
                                + i.folders().stream().map(Path::toString).collect(Collectors.joining(", "))));
        CudaLibraries.versions().forEach(findings::fact);
        findings.fact("NVRTC compiles with", KernelCompiler.compilerVersion());
        // Opening the card loads what is loaded only when it is needed.
        try {
            SelfTest.run(card.ordinal());
        } catch (DeviceUnavailableException e) {
            throw e;
        } catch (RebiasException e) {
            findings.failure("the card does not do its work: " + e.getMessage());
        }
        MappedLibraries libraries = MappedLibraries.now();
        Findings.Table mapped = findings.table("CUDA libraries that are loaded", "of", "file", "version");
        for (MappedLibraries.LibraryFile file : libraries.files()) {
            mapped.row(file.family(), file.path().toString(), file.version().orElse("-"));
            if (card.emulated() && file.family().equals("the driver")) {
                findings.fact(EMULATOR, String.valueOf(file.path().getParent()));
            }
        }
        libraries.conflict().ifPresent(findings::failure);
        findings.fact(
                "nvidia-smi",
                External.firstLines(
                                List.of(
                                        "nvidia-smi",
                                        "--query-gpu=name,driver_version,memory.total,memory.used,clocks.sm,clocks.max.sm,power.limit,temperature.gpu",
                                        "--format=csv,noheader"),
                                4)
                        .orElse("not on the PATH"));
    }

    private void doctor() {
        Findings.Table table = findings.table(
                "largest difference, in shares of what is allowed", "check", "first", "second", "other thread");
        List<List<SelfTest.Outcome>> runs = new ArrayList<>(
                List.of(SelfTest.run(0).outcomes(), SelfTest.run(0).outcomes()));
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            runs.add(thread.submit(() -> SelfTest.run(0).outcomes()).get());
        } catch (ExecutionException e) {
            findings.failure("the card cannot be used from another thread: "
                    + e.getCause().getMessage());
            runs.add(List.of());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } finally {
            thread.shutdownNow();
        }
        for (int i = 0; i < runs.get(0).size(); i++) {
            int index = i;
            List<String> cells = runs.stream()
                    .map(r -> index < r.size()
                            ? String.format(
                                    Locale.ROOT, "%.1f %%", 100 * r.get(index).share())
                            : "-")
                    .toList();
            table.row(runs.get(0).get(i).name(), cells.get(0), cells.get(1), cells.get(2));
            runs.stream()
                    .filter(r -> index < r.size() && !r.get(index).passed())
                    .findFirst()
                    .ifPresent(r -> findings.failure(
                            r.get(index).name() + " differs by " + r.get(index).difference() + " from the CPU"));
        }
    }

    private void probe(CudaCards.Card card) throws IOException {
        Path table = out.resolve(PROBE_TABLE);
        Path trying = out.resolve(PROBE_TRYING);
        List<String> head = List.of(
                "# card: " + card.name() + ", " + card.architecture() + (card.emulated() ? ", emulated" : ""),
                "# libraries: "
                        + CudaLibraries.versions().entrySet().stream()
                                .map(e -> e.getKey() + " " + e.getValue())
                                .collect(Collectors.joining(", ")),
                String.join("\t", ProbeRow.COLUMNS));
        Set<String> done = new HashSet<>();
        if (Files.exists(table)
                && Files.readAllLines(table).stream()
                        .limit(head.size())
                        .toList()
                        .equals(head)) {
            // Begun before: what a call did not survive is said, and the rest goes on.
            if (Files.exists(trying)) {
                String key = Files.readString(trying);
                Files.writeString(table, key + "\tPROCESS_DIED\t-\t-\t-\n", StandardOpenOption.APPEND);
                findings.failure("the process did not survive " + key.replace('\t', ' '));
            }
            Files.readAllLines(table).stream()
                    .skip(head.size())
                    .map(l -> l.split("\t", -1))
                    .filter(c -> c.length == ProbeRow.COLUMNS.size())
                    .map(c -> String.join("\t", List.of(c).subList(0, 6)))
                    .forEach(done::add);
        } else {
            Files.write(table, head, StandardCharsets.UTF_8);
        }
        try (LibraryProbe probe = new LibraryProbe(
                card.ordinal(),
                key -> {
                    if (done.contains(key)) {
                        return false;
                    }
                    write(trying, key);
                    return true;
                },
                row -> append(table, row.line()))) {
            probe.run(card.emulated() ? List.of(1, 3) : List.of(1, 7, 48, 128));
        }
        Files.deleteIfExists(trying);
        summarize(table, head.size());
    }

    private static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static void append(Path file, String line) {
        try {
            Files.writeString(file, line + "\n", StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** One row for each kind, direction, algorithm and way of summing; batches beside each other. */
    private void summarize(Path file, int head) throws IOException {
        List<String[]> rows = Files.readAllLines(file).stream()
                .skip(head)
                .map(l -> l.split("\t", -1))
                .toList();
        Findings.Table table = findings.table(
                "what each algorithm does (all batch sizes: " + PROBE_TABLE + ")",
                "library",
                "kind",
                "direction",
                "algorithm",
                "math",
                "status",
                "ms at the largest batch",
                "8-bit sums exact",
                "same bits in every batch");
        rows.stream()
                .collect(Collectors.groupingBy(
                        c -> String.join("\t", c[0], c[1], c[2], c[3], c[4]),
                        java.util.LinkedHashMap::new,
                        Collectors.toList()))
                .forEach((key, same) -> {
                    String[] k = key.split("\t", -1);
                    String statuses = same.stream().map(c -> c[6]).distinct().collect(Collectors.joining(", "));
                    String[] last = same.get(same.size() - 1);
                    table.row(k[0], k[1], k[2], k[3], k[4], statuses, last[7], all(same, 8), all(same, 9));
                });
        findings.fact("rows", Integer.toString(rows.size()));
        String origin = Files.readAllLines(file).get(0).substring("# ".length());
        Files.write(out.resolve(SupportTable.FILE), SupportTable.lines(rows, origin));
    }

    private static String all(List<String[]> rows, int column) {
        Set<String> values =
                rows.stream().map(c -> c[column]).filter(v -> !v.equals("-")).collect(Collectors.toSet());
        return values.isEmpty() ? "-" : values.equals(Set.of("yes")) ? "yes" : "no";
    }

    private void moments(CudaCards.Card card) {
        Findings.Table table = findings.table("one call", "what", "shape", "us", "GB/s", "share of the copy");
        double[] copy = new double[1];
        int repeats = Boolean.getBoolean(ONCE) ? 0 : card.emulated() ? 1 : 20;
        MomentsSpeed.measure(card.ordinal(), card.emulated() ? EMULATOR_ELEMENTS : CARD_ELEMENTS, repeats, row -> {
            if (copy[0] == 0) {
                copy[0] = row.gigabytesPerSecond();
            }
            table.row(
                    row.what(),
                    row.shape(),
                    String.format(Locale.ROOT, "%.1f", row.microseconds()),
                    String.format(Locale.ROOT, "%.1f", row.gigabytesPerSecond()),
                    String.format(Locale.ROOT, "%.0f %%", 100 * row.gigabytesPerSecond() / copy[0]));
        });
    }

    private void kernels(CudaCards.Card card) throws IOException {
        // The emulator's compiler takes longer than everything else here.
        List<Upcoming> network = card.emulated() ? List.of() : mobileNet();
        KernelTimes.Times times = KernelTimes.measure(card.architecture(), out.resolve("kernels-scratch"), network);
        Findings.Table table = findings.table("NVRTC, one after another", "source", "s");
        times.files().seconds().forEach((file, s) -> table.row(file, String.format(Locale.ROOT, "%.2f", s)));
        findings.fact("files", times.files().text());
        if (!network.isEmpty()) {
            findings.fact(
                    "MobileNetV1's elementwise kernels besides", times.network().text());
        }
        findings.fact("NVRTC", KernelCompiler.compilerVersion());
    }

    private static List<Upcoming> mobileNet() {
        BiasCorrection correction = BiasCorrection.of(
                OnnxModel.of("float", SyntheticNetworks.mobileNet(false, Corrections.Size.CARD.side())),
                OnnxModel.of("quantised", SyntheticNetworks.mobileNet(true, Corrections.Size.CARD.side())));
        List<Upcoming> all = new ArrayList<>();
        for (Reference reference : Reference.values()) {
            all.addAll(correction.operations(
                    CorrectionOptions.builder().reference(reference).build()));
        }
        return all;
    }
}
