package dev.rebias.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class OutputFileTest {
    private static final byte[] BYTES = {1, 2, 3};

    @TempDir
    Path folder;

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    private OutputFile check(String name, boolean force) {
        return OutputFile.check(folder.resolve(name), List.of(), force);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 212, 213, 220, 254, 255})
    void namesOfEveryPossibleLengthAreWritten(int bytes) throws IOException {
        String name = "x".repeat(bytes);
        check(name, false).write(BYTES);
        assertThat(folder.resolve(name)).hasBinaryContent(BYTES);
        assertThat(names()).containsExactly(name);
    }

    @Test
    void longNamesCountInBytes() throws IOException {
        String name = "é".repeat(127);
        check(name, false).write(BYTES);
        assertThat(names()).containsExactly(name);
        assertThatThrownBy(() -> check("é".repeat(128), false))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("name too long");
    }

    @ParameterizedTest
    @ValueSource(strings = {"rw-------", "rw-r-----", "rw-rw-rw-", "r--r--r--", "rwxr-x---"})
    void replacingKeepsThePermissions(String mode) throws IOException {
        Path file = Files.write(folder.resolve("c.onnx"), new byte[] {9});
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
        try (OutputFile.Staged staged = check("c.onnx", true).stage(BYTES)) {
            for (String name : names()) {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder.resolve(name))))
                        .as("nobody who may not read the old contents reads the new ones as they are written")
                        .matches(p -> !p.substring(3).contains("r")
                                || mode.substring(3).contains("r"));
            }
            staged.publish();
        }
        assertThat(file).hasBinaryContent(BYTES);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo(mode);
        assertThat(names()).containsExactly("c.onnx");
    }

    @Test
    void aFileThatAppearsDuringTheRunIsLeftAlone() throws IOException {
        OutputFile output = check("c.onnx", false);
        Files.write(folder.resolve("c.onnx"), new byte[] {9});
        assertThatThrownBy(() -> output.write(BYTES))
                .isInstanceOf(RebiasException.class)
                .hasMessageContainingAll("c.onnx", "has appeared while this ran");
        assertThat(folder.resolve("c.onnx")).hasBinaryContent(new byte[] {9});
        assertThat(names()).containsExactly("c.onnx");

        OutputFile link = check("d.onnx", false);
        Files.createSymbolicLink(folder.resolve("d.onnx"), folder.resolve("elsewhere"));
        assertThatThrownBy(() -> link.write(BYTES)).hasMessageContaining("has appeared");
        assertThat(folder.resolve("elsewhere")).doesNotExist();
    }

    @Test
    void aLinkIsReplacedAndNotFollowed() throws IOException {
        Path target = Files.write(folder.resolve("precious"), new byte[] {9});
        Files.createSymbolicLink(folder.resolve("c.onnx"), target);
        Files.createSymbolicLink(folder.resolve("d.onnx"), folder.resolve("nowhere"));
        assertThatThrownBy(() -> check("c.onnx", false)).hasMessageContaining("exists already");
        assertThatThrownBy(() -> check("d.onnx", false)).hasMessageContaining("exists already");
        check("c.onnx", true).write(BYTES);
        check("d.onnx", true).write(BYTES);
        assertThat(target).hasBinaryContent(new byte[] {9});
        assertThat(folder.resolve("nowhere")).doesNotExist();
        assertThat(folder.resolve("d.onnx")).hasBinaryContent(BYTES);
    }

    @Test
    void twoNamesOfOneFileAreFoundOut() throws IOException {
        Path real = Files.createDirectory(folder.resolve("real"));
        Path linked = Files.createSymbolicLink(folder.resolve("linked"), real);
        Path there = real.resolve("c.onnx");
        // Neither file exists yet: only their folders are one.
        assertSame(linked.resolve("c.onnx"), there);
        assertSame(folder.resolve("linked/../real/c.onnx"), there);
        // A link to where the other will be.
        assertSame(Files.createSymbolicLink(folder.resolve("r.json"), there), there);
        assertSame(there, folder.resolve("r.json"));
        assertSame(Files.createSymbolicLink(real.resolve("chain.json"), Path.of("../r.json")), there);
        // Existing ones.
        Files.write(there, BYTES);
        assertSame(Files.createLink(folder.resolve("hard.json"), there), there);
        OutputFile.check(folder.resolve("other.json"), List.of(there), true).write(BYTES);
    }

    private static void assertSame(Path output, Path taken) {
        assertThatThrownBy(() -> OutputFile.check(output, List.of(taken), true))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("also an input, or another output");
    }

    @Test
    void whatIsNotPublishedIsGone() throws IOException {
        check("c.onnx", false).stage(BYTES).close();
        assertThat(names()).isEmpty();
        assertThatThrownBy(() -> check("c.onnx", false).stage(to -> {
                    throw new IOException("disk full");
                }))
                .hasMessageContaining("disk full");
        assertThatThrownBy(() -> check("c.onnx", false).stage(to -> {
                    throw new IllegalStateException("bug");
                }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(names()).isEmpty();
    }

    /** Stages a file and waits to be killed. */
    static final class Writer {
        private Writer() {}

        public static void main(String[] args) throws InterruptedException {
            OutputFile.check(Path.of(args[0]), List.of(), true).stage(BYTES);
            System.out.println("staged");
            Thread.sleep(600_000);
        }
    }

    @Test
    void whatAKilledProcessLeftIsRemovedAndWhatALivingOneWritesIsNot() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Writer.class.getName(),
                        folder.resolve("c.onnx").toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try {
            assertThat(process.inputReader().readLine()).isEqualTo("staged");
            OutputFile.Staged own = check("e.onnx", false).stage(BYTES);
            Files.write(folder.resolve(".rebias-mine.txt"), BYTES);
            Files.createSymbolicLink(folder.resolve(".rebias-link.part"), folder.resolve("elsewhere"));
            assertThat(names()).filteredOn(n -> n.endsWith(".part")).hasSize(3);
            check("d.onnx", false);
            assertThat(names()).filteredOn(n -> n.endsWith(".part")).hasSize(3);
            process.destroyForcibly();
            assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
            check("d.onnx", false);
            assertThat(names()).filteredOn(n -> n.endsWith(".part")).hasSize(2);
            own.publish();
            own.close();
            assertThat(names()).containsExactly(".rebias-link.part", ".rebias-mine.txt", "e.onnx");
        } finally {
            process.destroyForcibly();
        }
    }
}
