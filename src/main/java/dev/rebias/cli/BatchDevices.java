package dev.rebias.cli;

import dev.rebias.batch.WorkerSpec;
import dev.rebias.device.Devices;
import dev.rebias.device.cuda.CudaCards;
import dev.rebias.device.cuda.CudaLibraries;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.UsageException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The devices of a batch, one for each worker; a card may have several. Each worker is a process of this very program,
 * with its share of the machine's cores and memory.
 */
record BatchDevices(List<String> names) {
    private static final int MOST = 64;

    /** The share of a card's memory that its workers' pools may take: cuDNN and cuBLAS allocate some of their own. */
    private static final double POOL_SHARE = 0.85;

    /** Options of this process that a worker must not have: what belongs to one process, or is shared out anew. */
    private static final Pattern OWN = Pattern.compile("-Xm[sx].*|-XX:(MaxDirectMemorySize|ActiveProcessorCount|"
            + "MaxRAMPercentage|ArchiveClassesAtExit|AOTCacheOutput|AOTMode)=.*|-(agentlib|agentpath|javaagent):.*");

    private static final Pattern DIRECT_MEMORY = Pattern.compile("-XX:MaxDirectMemorySize=(\\d+)([kKmMgG]?)");

    BatchDevices {
        names = List.copyOf(names);
    }

    /**
     * Parses {@code auto}, {@code cpu}, {@code cpu:N}, {@code cuda:all}, or {@code cuda:N,M..}.
     *
     * @throws UsageException if it is none of these
     * @throws DeviceUnavailableException if cards are asked for and there are none
     */
    static BatchDevices of(String text) {
        if (text.equals("auto")) {
            boolean cards =
                    CudaLibraries.missing().isEmpty() && !CudaCards.all().isEmpty();
            return cards ? of("cuda:all") : of("cpu:1");
        }
        Matcher cpu = Pattern.compile("cpu(?::(\\d{1,4}))?").matcher(text);
        if (cpu.matches()) {
            int workers = cpu.group(1) == null ? 1 : Integer.parseInt(cpu.group(1));
            if (workers < 1 || workers > MOST) {
                throw new UsageException("--devices " + text + " is not possible: from 1 to " + MOST + " workers are");
            }
            return new BatchDevices(Collections.nCopies(workers, "cpu"));
        }
        if (text.equals("cuda:all")) {
            return new BatchDevices(Devices.names(text));
        }
        if (text.equals("cuda") || text.matches("cuda:\\d{1,3}(,\\d{1,3}){0,63}")) {
            String ordinals = text.equals("cuda") ? "0" : text.substring("cuda:".length());
            return new BatchDevices(Arrays.stream(ordinals.split(","))
                    .map(n -> "cuda:" + Integer.parseInt(n))
                    .toList());
        }
        throw new UsageException("--devices " + text
                + " is not possible: give auto, cpu, cpu:N (N workers), cuda:all, or cuda:0,2 (one worker for each "
                + "that is named)");
    }

    private boolean onCards() {
        return names.get(0).startsWith("cuda");
    }

    /** The limit that each job is given; on a card it bounds the worker's pool instead. */
    Optional<String> limitOfJobs(Optional<String> memoryLimit) {
        return memoryLimit.filter(m -> !onCards());
    }

    /**
     * How the workers are started.
     *
     * @param memoryLimit how much memory of its device each may take, in bytes
     */
    List<WorkerSpec> workers(OptionalLong memoryLimit) {
        return names.stream()
                .map(device -> new WorkerSpec(device, command(device, memoryLimit)))
                .toList();
    }

    private List<String> command(String device, OptionalLong memoryLimit) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        List<String> own = ManagementFactory.getRuntimeMXBean().getInputArguments();
        own.stream().filter(o -> !OWN.matcher(o).matches()).forEach(command::add);
        // Also those that were set from the environment, or by whoever uses this class in another process.
        System.getProperties().stringPropertyNames().stream()
                .filter(p -> Stream.of("rebias.", "org.bytedeco.", "onnxruntime.", "jna.", "slf4j.internal.")
                                .anyMatch(p::startsWith)
                        || p.equals("java.io.tmpdir"))
                .sorted()
                .forEach(p -> command.add("-D" + p + "=" + System.getProperty(p)));
        int cores = Math.max(1, Runtime.getRuntime().availableProcessors() / names.size());
        command.addAll(
                List.of("-XX:ActiveProcessorCount=" + cores, "-Drebias.threads=" + cores, "-Drebias.terminal=false"));
        command.add("-XX:MaxRAMPercentage=" + Math.min(25, Math.max(1, 50 / names.size())));
        own.stream()
                .map(DIRECT_MEMORY::matcher)
                .filter(Matcher::matches)
                .reduce((first, last) -> last)
                .ifPresent(m -> command.add("-XX:MaxDirectMemorySize="
                        + Math.max(1, Long.parseLong(m.group(1)) / names.size()) + m.group(2)));
        if (onCards()) {
            pool(device, memoryLimit).ifPresent(bytes -> command.add("-Drebias.cuda.pool=" + bytes));
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(List.of("batch", "worker", "--device=" + device));
        return command;
    }

    /** The size of a worker's pool on a card; empty where it has the card for itself, and nobody bounds it. */
    private OptionalLong pool(String device, OptionalLong memoryLimit) {
        int sharing = Collections.frequency(names, device);
        if (memoryLimit.isPresent() || sharing == 1) {
            return memoryLimit;
        }
        return CudaCards.all().stream()
                .filter(c -> device.equals("cuda:" + c.ordinal()))
                .mapToLong(c -> (long) (c.memoryBytes() * POOL_SHARE / sharing))
                .findFirst();
    }
}
