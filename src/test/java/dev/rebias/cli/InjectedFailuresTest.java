package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.device.Emulator;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every call of CUDA, cuDNN, cuBLAS and NVRTC in a small correction fails once: what the user sees, and what is left.
 */
@Tag("cuda")
@Tag("emulator")
final class InjectedFailuresTest {
    /** Calls by which a GPU is looked for: without them there is none to be used. */
    private static final Set<String> LOOKING = Set.of(
            "cuInit",
            "cuDeviceGetCount",
            "cuDeviceGet",
            "cuDeviceGetName",
            "cuDeviceGetAttribute",
            "cuDeviceTotalMem_v2");

    private static final int UNAVAILABLE = 3;

    @TempDir
    Path folder;

    private final Emulator emulator = Emulator.require();
    private String cache;

    @BeforeEach
    void writeFiles() throws IOException {
        ToyFiles.write(folder);
        emulator.reset();
        cache = System.getProperty("rebias.cache");
    }

    @AfterEach
    void asItWas() {
        System.setProperty("rebias.cache", cache);
        emulator.fail(0);
        emulator.reset();
    }

    private CommandLineRun.Captured correct() {
        return CommandLineRun.captured(ToyFiles.command(
                "correct",
                folder,
                "--batch-size",
                "2",
                "--reference",
                "network",
                "--device",
                "cuda",
                "--quiet",
                "--report",
                folder.resolve("report.json").toString(),
                "--output",
                folder.resolve("corrected.onnx").toString()));
    }

    private void checkFailure(String call, CommandLineRun.Captured outcome) throws IOException {
        String function = emulator.failed();
        assertThat(function).as("%s failed as ordered", call).isNotEmpty();
        String name = function.replaceAll("_v2$", "");
        assertThat(outcome.err()).as("%s, %s", call, function).contains(name).startsWith("rebias: ");
        assertThat(outcome.err().strip().lines()).as("%s, %s", call, function).hasSize(1);
        assertThat(outcome.exitCode())
                .as("%s, %s: %s", call, function, outcome.err())
                .isEqualTo(LOOKING.contains(function) ? UNAVAILABLE : 1);
        // What went wrong is reported, and nothing else is left.
        Path report = folder.resolve("report.json");
        JsonNode error = new ObjectMapper().readTree(report.toFile()).path("error");
        assertThat(error.path("exitCode").asInt(-1))
                .as("%s, %s: %s", call, function, error)
                .isEqualTo(outcome.exitCode());
        assertThat(error.path("message").asText()).contains(name);
        Files.delete(report);
        try (var files = Files.list(folder)) {
            assertThat(files.map(f -> f.getFileName().toString()))
                    .as("%s, %s", call, function)
                    .containsExactlyInAnyOrder("float.onnx", "quantized.onnx", "samples.npy");
        }
        assertThat(emulator.live()).as("left after %s, %s", call, function).isEmpty();
        assertThat(emulator.violation())
                .as("rules after %s, %s", call, function)
                .isEmpty();
    }

    @Test
    void everyCallThatFailsEndsInOneLineTheRightExitCodeAndNoOutput() throws IOException {
        assertThat(correct().exitCode()).isZero();
        assertThat(emulator.live()).isEmpty();
        // The second run finds all kernels compiled, as the runs below do.
        Files.delete(folder.resolve("corrected.onnx"));
        Files.delete(folder.resolve("report.json"));
        long before = emulator.calls();
        assertThat(correct().exitCode()).isZero();
        long calls = emulator.calls() - before;
        Files.delete(folder.resolve("corrected.onnx"));
        Files.delete(folder.resolve("report.json"));
        Set<String> functions = new TreeSet<>();
        for (long call = 1; call <= calls; call++) {
            emulator.fail(call);
            CommandLineRun.Captured outcome = correct();
            checkFailure("call " + call, outcome);
            functions.add(emulator.failed());
        }
        System.out.printf("%d calls failed in turn, of %d functions: %s%n", calls, functions.size(), functions);
        assertThat(functions)
                .contains(
                        "cuMemAlloc_v2",
                        "cuLaunchKernel",
                        "cudnnConvolutionForward",
                        "cublasSgemm_v2",
                        "cuModuleLoadData");
        // And with that, all is well again.
        emulator.fail(0);
        assertThat(correct().exitCode()).isZero();
    }

    @Test
    void compilingThatFailsEndsInOneLineToo() throws IOException {
        List<String> functions = List.of(
                "nvrtcCreateProgram",
                "nvrtcCompileProgram",
                "nvrtcGetCUBINSize",
                "nvrtcGetCUBIN",
                "nvrtcDestroyProgram");
        for (String function : functions) {
            // An empty cache, so that kernels are compiled: several at once, in any order, and one of them, that which
            // decodes samples, without being needed here. So every one fails.
            System.setProperty(
                    "rebias.cache", folder.resolveSibling("cache-" + function).toString());
            emulator.failAlways(function);
            CommandLineRun.Captured outcome = correct();
            assertThat(emulator.failed()).isEqualTo(function);
            checkFailure(function, outcome);
        }
    }
}
