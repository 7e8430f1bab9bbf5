package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.ModelPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.ToyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With {@code --skip-existing}, an output that equal files and options made is left as it is, and no other is. */
final class SkipExistingTest {
    private static final String SKIPPED = "was made from equal files with equal options, and is left as it is";
    private static final String OTHER = "exists, but does not say that it was made with --skip-existing";

    @TempDir
    Path folder;

    private Path inputs;
    private Path corrected;

    @BeforeEach
    void writeFiles() throws IOException {
        inputs = Files.createDirectory(folder.resolve("inputs"));
        ToyFiles.write(inputs);
        corrected = folder.resolve("c.onnx");
    }

    private CommandLineRun.Captured correct(int exitCode, String... more) {
        List<String> arguments = new ArrayList<>(List.of("--output=" + corrected, "--device=cpu", "--skip-existing"));
        arguments.addAll(Arrays.asList(more));
        CommandLineRun.Captured run =
                CommandLineRun.captured(ToyFiles.command("correct", inputs, arguments.toArray(String[]::new)));
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        return run;
    }

    @Test
    void forceDoesNotMakeAnotherRequest() throws IOException {
        assertThat(correct(0).said()).contains("wrote ");
        byte[] first = Files.readAllBytes(corrected);
        assertThat(correct(0, "--force").said()).contains(SKIPPED);
        assertThat(Files.readAllBytes(corrected)).isEqualTo(first);
        Files.writeString(corrected, "mine");
        assertThat(correct(2).said()).contains(OTHER);
        assertThat(correct(0, "--force").said()).contains("wrote ");
        assertThat(correct(0).said()).contains(SKIPPED);
    }

    @Test
    void whatFilesHoldDecidesAndNotWhereTheyAre() throws IOException {
        assertThat(correct(0).said()).contains("wrote ");
        inputs = Files.move(inputs, folder.resolve("renamed"));
        assertThat(correct(0).said()).contains(SKIPPED);
        for (String name : new String[] {"samples.npy", "float.onnx", "quantized.onnx"}) {
            Path file = inputs.resolve(name);
            byte[] before = Files.readAllBytes(file);
            byte[] other = before.clone();
            if (name.endsWith(".npy")) {
                other[other.length - 1] ^= 1;
            } else {
                OnnxModel model = OnnxModel.read(file);
                other = model.proto().toBuilder().setDocString("a").build().toByteArray();
            }
            Files.write(file, other);
            assertThat(correct(2).said()).as(name).contains(OTHER);
            Files.write(file, before);
            assertThat(correct(0).said()).as(name).contains(SKIPPED);
        }
    }

    private String request(Path samples) {
        ModelPair pair = ModelPair.read(inputs.resolve("float.onnx"), inputs.resolve("quantized.onnx"));
        return Request.of(pair, samples, Map.of(), new FileHashes(true));
    }

    /** Samples in a folder count by their contents and by their names, which say in what order they are read. */
    @Test
    void namesOfFilesInAFolderDecideToo() throws IOException {
        Path images = Files.createDirectory(folder.resolve("images"));
        byte[] image = Files.readAllBytes(inputs.resolve("samples.npy"));
        Files.write(images.resolve("a.npy"), image);
        String request = request(images);
        assertThat(request(Files.move(images, folder.resolve("others")))).isEqualTo(request);
        Path others = folder.resolve("others");
        Files.move(others.resolve("a.npy"), others.resolve("b.npy"));
        assertThat(request(others)).isNotEqualTo(request);
        Files.move(others.resolve("b.npy"), others.resolve("a.npy"));
        assertThat(request(others)).isEqualTo(request);
        Files.write(others.resolve("c.npy"), image);
        assertThat(request(others)).isNotEqualTo(request);
    }

    @Test
    void standardOutputIsLeftToTheReportThatIsAskedFor() {
        correct(0);
        CommandLineRun.Captured run = correct(0, "--report=-");
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).contains(SKIPPED + "; no report is written");
        assertThat(correct(0).out()).contains(SKIPPED).doesNotContain("no report");
        CommandLineRun.Captured quiet = correct(0, "--quiet", "--report=-");
        assertThat(quiet.said()).isEmpty();
    }

    @Test
    void aFolderIsNoOutput() throws IOException {
        Files.createDirectory(corrected);
        for (String force : new String[] {"--quiet", "--force"}) {
            assertThat(correct(2, force).said()).contains("output '" + corrected + "' is a folder");
        }
    }

    @Test
    void samplesThatAreNotThereAreMissingWhateverElseIsAskedFor() throws IOException {
        Files.delete(inputs.resolve("samples.npy"));
        String missing = "samples '" + inputs.resolve("samples.npy") + "' do not exist: check the path";
        assertThat(correct(2).said()).contains(missing);
        assertThat(correct(2, "--force", "--report=" + folder.resolve("r.json")).said())
                .contains(missing);
        CommandLineRun.Captured measured =
                CommandLineRun.captured(ToyFiles.command("measure", inputs, "--report=" + folder.resolve("r.json")));
        assertThat(measured.exitCode()).isEqualTo(2);
        assertThat(measured.said()).contains(missing);
    }
}
