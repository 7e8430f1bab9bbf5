package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import dev.rebias.oracle.ToyFiles;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever has become of the cached kernels, a run compiles anew what it cannot use. */
@Tag("cuda")
@Tag("emulator")
final class BadKernelsTest {
    @TempDir
    Path folder;

    private final Emulator emulator = Emulator.require();
    private final String cache = System.getProperty("rebias.cache");

    @BeforeEach
    void writeFiles() throws IOException {
        ToyFiles.write(folder);
        emulator.reset();
        System.setProperty("rebias.cache", folder.resolve("cache").toString());
    }

    @AfterEach
    void asItWas() {
        System.setProperty("rebias.cache", cache);
        emulator.reset();
    }

    private int correct(String output) {
        return Main.run(ToyFiles.command(
                "correct", folder, "--output", folder.resolve(output).toString(), "--device", "cuda", "--quiet"));
    }

    private List<Path> cubins() throws IOException {
        try (Stream<Path> files = Files.list(folder.resolve("cache"))) {
            return files.filter(f -> f.toString().endsWith(".cubin")).sorted().toList();
        }
    }

    private static byte[] bad(String how, byte[] good) throws IOException, NoSuchAlgorithmException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] image =
                switch (how) {
                    case "text" ->
                        "this is no cubin, but its digest is right ".repeat(20).getBytes(StandardCharsets.UTF_8);
                    case "for another card" -> {
                        byte[] other = java.util.Arrays.copyOfRange(good, 32, good.length);
                        other[16 + 3] ^= 1; // within sm_XX
                        yield other;
                    }
                    default -> new byte[64];
                };
        out.write(
                how.equals("digest wrong")
                        ? new byte[32]
                        : MessageDigest.getInstance("SHA-256").digest(image));
        out.write(how.equals("empty") ? new byte[0] : image);
        return how.equals("empty") ? new byte[0] : out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"text", "for another card", "zeros", "digest wrong", "empty"})
    void badKernelsAreCompiledAnew(String how) throws IOException, NoSuchAlgorithmException {
        assertThat(correct("a.onnx")).isZero();
        assertThat(cubins()).isNotEmpty();
        byte[] good = Files.readAllBytes(cubins().get(0));
        for (Path cubin : cubins()) {
            Files.write(cubin, bad(how, Files.readAllBytes(cubin)));
        }
        assertThat(correct("b.onnx")).isZero();
        assertThat(folder.resolve("b.onnx")).hasSameBinaryContentAs(folder.resolve("a.onnx"));
        byte[] again = Files.readAllBytes(cubins().get(0));
        assertThat(again.length).as("the cache is mended").isBetween(good.length / 2, good.length * 2);
    }
}
