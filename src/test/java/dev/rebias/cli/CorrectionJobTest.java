package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.CorrectionOptions;
import dev.rebias.ModelPair;
import dev.rebias.Requirements;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.oracle.ToyFiles;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reports say what became of a run, also where the world changes while it works. */
final class CorrectionJobTest {
    private static final CorrectionOptions OPTIONS =
            CorrectionOptions.builder().device("cpu").build();

    @TempDir
    Path folder;

    private Path models;
    private Path reports;
    private final StringWriter said = new StringWriter();
    private final FileHashes hashes = new FileHashes(true);

    @BeforeEach
    void writeFiles() throws IOException {
        ToyFiles.write(folder);
        models = Files.createDirectory(folder.resolve("models"));
        reports = Files.createDirectory(folder.resolve("reports"));
    }

    /** Something that happens between the checks and the work. */
    @FunctionalInterface
    private interface Event {
        void happen() throws IOException;
    }

    private void correct(Event event) {
        correct(event, OPTIONS);
    }

    private void correct(Event event, CorrectionOptions options) {
        PrintWriter out = new PrintWriter(said);
        new CorrectionJob(
                        System.nanoTime(),
                        ModelPair.read(folder.resolve("float.onnx"), folder.resolve("quantized.onnx")),
                        folder.resolve("samples.npy"),
                        Optional.of(models.resolve("c.onnx")),
                        List.of(reports.resolve("r.json")),
                        hashes,
                        new CorrectionJob.Settings(
                                false, false, OptionalInt.of(2), Requirements.NONE, false, false, false, Map.of()),
                        out,
                        out)
                .run(
                        correction -> {
                            try {
                                event.happen();
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                            return Samples.open(folder.resolve("samples.npy"), Normalization.NONE);
                        },
                        options);
    }

    private JsonNode report() throws IOException {
        return new ObjectMapper().readTree(reports.resolve("r.json").toFile());
    }

    @Test
    void whatIsWrittenIsCalledPublished() throws IOException {
        correct(() -> {});
        assertThat(report().at("/verdict/published").asBoolean()).isTrue();
        assertThat(models.resolve("c.onnx")).exists();
        assertThat(said.toString()).contains("verdict: ", "wrote ");
    }

    @Test
    void whatAnotherRunWroteMeanwhileIsNotCalledThisOnes() throws IOException {
        assertThatThrownBy(() -> correct(() -> Files.writeString(models.resolve("c.onnx"), "another run's")))
                .isInstanceOf(RebiasException.class)
                .hasMessageContaining("has appeared while this ran");
        assertThat(Files.readString(models.resolve("c.onnx"))).isEqualTo("another run's");
        assertThat(report().has("verdict")).isFalse();
        assertThat(report().at("/error/message").asText()).contains("has appeared while this ran");
        assertThat(said.toString()).doesNotContain("verdict", "wrote");
    }

    @Test
    void whatCannotBeWrittenIsReported() throws IOException {
        RebiasException e = catchThrowableOfType(RebiasException.class, () -> correct(() -> Files.delete(models)));
        assertThat(e).hasMessageContaining("cannot write");
        assertThat(report().at("/error/message").asText()).isEqualTo(e.getMessage());
        assertThat(report().at("/error/exitCode").asInt()).isEqualTo(1);
    }

    @Test
    void aReportThatCannotBeWrittenDoesNotHideWhatWentWrong() {
        assertThatThrownBy(() -> correct(() -> {
                    Files.delete(reports);
                    throw new UnsupportedException("the real failure");
                }))
                .hasMessage("the real failure")
                .satisfies(e -> assertThat(e.getSuppressed()[0]).hasMessageContaining("r.json"));
    }

    @Test
    void aModelIsKeptWhoseReportCannotBeWritten() {
        assertThatThrownBy(() -> correct(() -> Files.delete(reports)))
                .hasMessageContaining("c.onnx' is written, but not its report: cannot write")
                .isInstanceOf(RebiasException.class);
        assertThat(models.resolve("c.onnx")).exists();
    }

    @Test
    void nobodyIsAdvisedToUseOptionsThatTheCommandLacks() throws IOException {
        ToyFiles.writeCompensating(folder);
        CorrectionOptions first =
                OPTIONS.toBuilder().layers(name -> name.equals("a_node")).build();
        assertThatThrownBy(() -> correct(() -> {}, first))
                .hasMessageContaining("further from the float network than before")
                .hasMessageNotContainingAny("--reference", "--float");
        Files.delete(reports.resolve("r.json"));
        CommandLineRun.Captured run = CommandLineRun.captured(
                arguments(folder.resolve("samples.npy"), models.resolve("c.onnx"), "--include=^a_node$"));
        assertThat(run.err()).contains("try --reference network", "that --float is the model");
    }

    @Test
    void filesAreReportedAsTheyWereRead() throws IOException, NoSuchAlgorithmException {
        byte[] bytes = Files.readAllBytes(folder.resolve("float.onnx"));
        String hash =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        correct(() -> {
            Files.writeString(folder.resolve("float.onnx"), "another file");
            Files.delete(folder.resolve("quantized.onnx"));
        });
        assertThat(report().at("/files/0/sha256").asText()).isEqualTo(hash);
        assertThat(report().at("/files/1/sha256").isTextual()).isTrue();
    }

    @Test
    void eachFileIsReadOnceForItsHash() throws IOException {
        Path floating = folder.resolve("float.onnx");
        hashes.read(List.of(floating));
        String first = hashes.of(floating);
        ModelPair pair = ModelPair.read(floating, folder.resolve("quantized.onnx"));
        Files.write(floating, new byte[] {1}, StandardOpenOption.APPEND);
        Path samples = folder.resolve("samples.npy");
        String request = Request.of(pair, samples, Map.of(), hashes);
        assertThat(FilesRead.of(pair, samples, hashes).get(0).sha256()).contains(first);
        assertThat(Request.of(pair, samples, Map.of(), new FileHashes(true))).isNotEqualTo(request);
    }

    @Test
    void hashingIsAPhaseOfItsOwnAndPhasesAddUp() throws IOException {
        correct(() -> {});
        JsonNode timings = report().path("timings");
        assertThat(timings.path("hashing files").asDouble()).isPositive();
        double sum = 0;
        for (Map.Entry<String, JsonNode> phase : timings.properties()) {
            sum += phase.getKey().equals("totalSeconds") ? 0 : phase.getValue().asDouble();
        }
        assertThat(sum).isCloseTo(timings.path("totalSeconds").asDouble(), withinPercentage(1));
    }

    private String[] arguments(Path samples, Path output, String... more) {
        List<String> all = new ArrayList<>(List.of(
                "correct",
                "--float=" + folder.resolve("float.onnx"),
                "--quantized=" + folder.resolve("quantized.onnx"),
                "--samples=" + samples,
                "--output=" + output,
                "--report=" + reports.resolve("r.json"),
                "--device=cpu"));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    void damagedSamplesAreReported() throws IOException {
        Path damaged = folder.resolve("damaged.npy");
        byte[] bytes = Files.readAllBytes(folder.resolve("samples.npy"));
        Files.write(damaged, Arrays.copyOf(bytes, bytes.length / 2));
        CommandLineRun.Captured run = CommandLineRun.captured(arguments(damaged, models.resolve("c.onnx")));
        assertThat(run.exitCode()).isEqualTo(4);
        assertThat(report().at("/error/exitCode").asInt()).isEqualTo(4);
        assertThat(report().at("/error/message").asText()).contains("damaged.npy");
    }

    @Test
    void whatLinksInAFolderOfImagesLeadToIsNotWrittenOver() throws IOException {
        Path images = Files.createDirectory(folder.resolve("images"));
        Files.createSymbolicLink(images.resolve("link"), models);
        Path taken = Files.writeString(models.resolve("a.onnx"), "mine");
        CommandLineRun.Captured run = CommandLineRun.captured(arguments(images, taken, "--force"));
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("is also an input");
        assertThat(Files.readString(taken)).isEqualTo("mine");
    }

    @Test
    void aFolderThatCannotBeListedSaysSo() throws IOException {
        Path images = Files.createDirectory(folder.resolve("images"));
        Files.createSymbolicLink(images.resolve("loop"), images);
        CommandLineRun.Captured run = CommandLineRun.captured(arguments(images, models.resolve("c.onnx")));
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err())
                .startsWith("rebias: folder '")
                .contains("cannot be listed")
                .doesNotContain("internal");
    }
}
