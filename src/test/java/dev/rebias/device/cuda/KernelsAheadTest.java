package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.CorrectionOptions;
import dev.rebias.DeviceSession;
import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.device.Upcoming;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Which kernels a network needs is known before it runs. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class KernelsAheadTest {
    @TempDir
    Path folder;

    private final Emulator emulator = Emulator.require();
    private final String cache = System.getProperty("rebias.cache");

    @AfterEach
    void asItWas() {
        System.setProperty("rebias.cache", cache);
        System.clearProperty("rebias.kernels");
    }

    private static List<String> late(ReferencePair pair, Reference reference) {
        CorrectionOptions options =
                CorrectionOptions.builder().reference(reference).batchSize(3).build();
        try (Samples all = pair.samples();
                CudaDevice device = CudaDevice.open(0)) {
            pair.correction().correct(all.limit(5), options, DeviceSession.of(device));
            return device.lateKernels();
        }
    }

    /** Sums of errors or of classes, by what is measured. (In the reference {@code layer} errors need both.) */
    @ParameterizedTest
    @CsvSource({
        "true, false, error_moments.cu, class_sums.cu",
        "false, true, class_sums.cu, error_moments.cu",
        "false, false, class_sums.cu, error_moments.cu"
    })
    void onlyTheSumsThatAreMeasuredAreCompiled(boolean errors, boolean layer, String needed, String other)
            throws IOException {
        System.setProperty("rebias.cache", folder.toString());
        try (Samples all = ReferencePair.FASHION_W3A8.samples();
                CudaDevice device = CudaDevice.open(0)) {
            CorrectionOptions options = CorrectionOptions.builder()
                    .reference(layer ? Reference.LAYER : Reference.NETWORK)
                    .errors(errors)
                    .batchSize(3)
                    .build();
            ReferencePair.FASHION_W3A8.correction().correct(all.limit(3), options, DeviceSession.of(device));
            assertThat(device.lateKernels()).doesNotContain(needed);
        }
        List<String> kept = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".cu")).toList()) {
                kept.add(Files.readString(file).lines().findFirst().orElse(""));
            }
        }
        assertThat(kept).anyMatch(line -> line.equals(head(needed))).noneMatch(line -> line.equals(head(other)));
    }

    private static String head(String file) {
        return Compiler.source(file).lines().findFirst().orElseThrow();
    }

    @ParameterizedTest
    @EnumSource
    void allElementwiseKernelsOfANetworkAreExpected(ReferencePair pair) {
        for (Reference reference : Reference.values()) {
            assertThat(late(pair, reference))
                    .as("kernels of %s, %s, that nobody expected", pair, reference)
                    .allMatch(Compiler.FILES::contains);
        }
    }

    @ParameterizedTest
    @CsvSource({"FASHION_W3A8", "OCR_W4A8"})
    void whatAnImageHoldsIsNotCompiledAgain(ReferencePair pair) {
        String architecture = CudaCards.all().get(0).architecture();
        List<Upcoming> operations = new ArrayList<>();
        for (Reference reference : Reference.values()) {
            operations.addAll(pair.correction()
                    .operations(CorrectionOptions.builder().reference(reference).build()));
        }
        KernelCompiler.Compiled compiled = KernelCompiler.compile(architecture, folder.resolve("image"), operations);
        assertThat(compiled.sources()).containsAll(Compiler.FILES).hasSizeGreaterThan(Compiler.FILES.size() + 3);
        System.out.printf("%s: %s%n", pair, compiled.summary());
        System.setProperty("rebias.kernels", folder.resolve("image").toString());
        System.setProperty("rebias.cache", folder.resolve("empty").toString());
        emulator.reset();
        for (Reference reference : Reference.values()) {
            late(pair, reference);
        }
        assertThat(emulator.counter("call:nvrtcCompileProgram")).isZero();
    }
}
