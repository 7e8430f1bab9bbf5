package dev.rebias.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A manifest is read as it is meant, whatever its form, or refused with one sentence that says where. */
final class ManifestTest {
    private static final OptionKinds OPTIONS = new OptionKinds(Map.of(
            "float", OptionKinds.Kind.INPUT,
            "quantized", OptionKinds.Kind.INPUT,
            "samples", OptionKinds.Kind.INPUT,
            "reference", OptionKinds.Kind.VALUE,
            "scale", OptionKinds.Kind.VALUE,
            "mean", OptionKinds.Kind.LIST,
            "verify", OptionKinds.Kind.FLAG));

    @TempDir
    Path folder;

    private List<Job> read(String name, String text) throws IOException {
        return Manifest.read(Files.writeString(folder.resolve(name), text), OPTIONS);
    }

    private void refused(String name, String text, String... saying) throws IOException {
        Path file = Files.writeString(folder.resolve(name), text);
        assertThatThrownBy(() -> Manifest.read(file, OPTIONS))
                .isInstanceOf(UsageException.class)
                .message()
                .contains(saying)
                .doesNotContain("\n");
    }

    @Test
    void theSameJobsInEveryForm() throws IOException {
        List<Job> yaml = read("m.yaml", """
                defaults: {samples: s.npz, scale: 255}
                jobs:
                  - {float: f.onnx, quantized: q.onnx, mean: [0.1, 0.20], verify: true, output: a/c.onnx}
                  - {float: f.onnx, quantized: /abs/r.onnx, scale: 1e-3, verify: false}
                """);
        List<Job> json = read("m.json", """
                {"defaults": {"samples": "s.npz", "scale": 255}, "jobs": [
                  {"float": "f.onnx", "quantized": "q.onnx", "mean": [0.1, 0.20], "verify": true, "output": "a/c.onnx"},
                  {"float": "f.onnx", "quantized": "/abs/r.onnx", "scale": 1e-3, "verify": false}]}
                """);
        List<Job> lines = read("m.jsonl", """
                {"samples": "s.npz", "scale": 255, "float": "f.onnx", "quantized": "q.onnx", "mean": [0.1, 0.20], "verify": true, "output": "a/c.onnx"}

                {"samples": "s.npz", "float": "f.onnx", "quantized": "/abs/r.onnx", "scale": "1e-3"}
                """);
        List<Job> csv = read("m.csv", """
                samples,scale,float,quantized,mean,verify,output
                s.npz,255,f.onnx,q.onnx,"0.1,0.20",true,a/c.onnx
                s.npz,1e-3,f.onnx,/abs/r.onnx,,,
                """);
        for (List<Job> jobs : List.of(yaml, json, lines, csv)) {
            assertThat(jobs).extracting(Job::output).containsExactly("a/c.onnx", "r.onnx");
            assertThat(jobs.get(0).options())
                    .containsOnly(
                            Map.entry("--samples", folder + "/s.npz"),
                            Map.entry("--scale", "255"),
                            Map.entry("--float", folder + "/f.onnx"),
                            Map.entry("--quantized", folder + "/q.onnx"),
                            Map.entry("--mean", "0.1,0.20"),
                            Map.entry("--verify", ""));
            assertThat(jobs.get(1).options())
                    .containsEntry("--scale", "1e-3")
                    .containsEntry("--quantized", "/abs/r.onnx")
                    .doesNotContainKeys("--verify", "--mean");
        }
        assertThat(yaml.get(0).arguments(Path.of("/out"))).contains("--verify", "--output=/out/a/c.onnx");
    }

    @Test
    void aPatternMakesAJobOfEachFile() throws IOException {
        for (String name :
                new String[] {"m/a/q8.onnx", "m/b/q4.onnx", "m/b/q8.onnx", "m/b/float.onnx", "m/b/c/q8.onnx"}) {
            Files.createDirectories(folder.resolve(name).getParent());
            Files.createFile(folder.resolve(name));
        }
        String text = "jobs:\n  - {quantized: 'm/%s', float: '{folder}/float.onnx', samples: s.npz%s}\n";
        List<Job> jobs = read("m.yaml", text.formatted("*/q*.onnx", ""));
        assertThat(jobs).extracting(Job::output).containsExactly("m/a/q8.onnx", "m/b/q4.onnx", "m/b/q8.onnx");
        assertThat(jobs.get(1).options()).containsEntry("--float", folder + "/m/b/float.onnx");
        assertThat(read("m.yaml", text.formatted("**/q8.onnx", "")))
                .extracting(Job::output)
                .containsExactly("m/a/q8.onnx", "m/b/c/q8.onnx", "m/b/q8.onnx");
        assertThat(read("m.yaml", text.formatted("b/q*.onnx", ", output: 'x/{name}-c.onnx'")))
                .extracting(Job::output)
                .containsExactly("x/q4-c.onnx", "x/q8-c.onnx");
        refused("m.yaml", text.formatted("*/z*.onnx", ""), "job 1", "line 2", "no file fits 'quantized: m/*/z*.onnx'");
        refused("m.yaml", text.formatted("*/q*.onnx", ", output: x.onnx"), "job 1", "'x.onnx' is also that of");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            quantized: q.onnx, colour: red        | line 4 | the key 'colour' is unknown
            quantized: q.onnx, device: cpu        | line 4 | the key 'device' is unknown
            float: f.onnx                         | line 4 | it has no 'quantized'
            quantized: [q.onnx, r.onnx]           | line 4 | 'quantized' takes one value, and is given 2
            quantized: q.onnx, scale: {a: 1}      | line 4 | 'scale' must have a value
            quantized: q.onnx, scale:             | line 4 | 'scale' is empty
            quantized: q.onnx, scale: null        | line 4 | 'scale' must have a value
            quantized: q.onnx, scale: ''          | line 4 | 'scale' is empty
            quantized: q.onnx, verify: perhaps    | line 4 | 'verify' is true or false, not 'perhaps'
            quantized: q.onnx, output: ../c.onnx  | line 4 | is no file below the folder of --out
            quantized: q.onnx, output: a/../../c  | line 4 | is no file below the folder of --out
            quantized: q.onnx, output: /c.onnx    | line 4 | is no file below the folder of --out
            quantized: q.onnx, output: a/         | line 4 | is no file below the folder of --out
            quantized: q.onnx, output: jobs.json  | line 4 | has the name of a file that the batch itself writes
            quantized: p.onnx                     | line 4 | the output 'p.onnx' is also that of job 1 of manifest
            quantized: q.onnx, output: ./p.onnx   | line 4 | the output 'p.onnx' is also that of job 1 of manifest
            quantized: q.onnx, output: p.onnx/q   | line 3 | is also the folder of another job's output
            quantized: q.onnx, quantized: r.onnx  | line 4 | Duplicate field 'quantized'
            quantized: *alias                     | line 4 | is an alias ('*alias'), which is not read
            '<<': {scale: 1}                      | line 4 | merge keys ('<<') are not read
            ]                                     | line 4 | it cannot be read
            """)
    void aWrongJobIsRefusedWithItsPlace(String job, String line, String sentence) throws IOException {
        refused(
                "m.yaml",
                "defaults: {float: &alias f.onnx}\njobs:\n  - quantized: p.onnx\n  - {" + job + "}\n",
                line,
                sentence);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            m.yaml  | ''                                 | it must have 'jobs:'
            m.yaml  | - quantized: q.onnx                | it must have 'jobs:'
            m.yaml  | 'jobs: []'                         | has no jobs
            m.yaml  | 'jobs: q.onnx'                     | 'jobs' must be a list of jobs
            m.yaml  | 'jobs: [q.onnx]'                   | a job has options and values
            m.yaml  | 'defaults: 7'                      | 'defaults' must be options and values
            m.yaml  | 'job: []'                          | the key 'job' is unknown here
            m.jsonl | '[]'                               | each line is a job
            m.jsonl | '{"quantized": "q"} {}'            | something follows the job
            m.jsonl | '{"quantized": '                   | line 1: it is no JSON
            m.csv   | 'quantized'                        | has no jobs
            m.txt   | 'q.onnx'                           | does not say in its name what it is
            """)
    void whatIsNoManifestIsRefused(String name, String text, String sentence) throws IOException {
        refused(name, text == null ? "" : text, "manifest '", sentence);
    }

    @Test
    void bombsAndMillionsAreRefusedAtOnce() throws IOException {
        StringBuilder bomb = new StringBuilder("defaults: {scale: 1}\nx0: &x0 [a, a, a]\n");
        for (int i = 1; i < 12; i++) {
            bomb.append("x%d: &x%d [%s]\n".formatted(i, i, ("*x" + (i - 1) + ", ").repeat(9)));
        }
        refused("m.yaml", bomb + "jobs: *x11\n", "line 2", "the key 'x0' is unknown here");
        refused("m.yaml", "jobs: " + "[".repeat(100_000), "manifest '");
        refused("m.yaml", "defaults: {mean: " + "[".repeat(100_000), "manifest '");
        String million = IntStream.range(0, 1_000_000)
                .mapToObj(i -> "{\"quantized\": \"" + i + "\"}")
                .collect(Collectors.joining("\n"));
        refused("m.jsonl", million, "has more than 100000 jobs: split it");
        Files.write(folder.resolve("m.yaml"), new byte[] {'j', (byte) 0xff});
        assertThatThrownBy(() -> Manifest.read(folder.resolve("m.yaml"), OPTIONS))
                .hasMessageContaining("not text in UTF-8");
        Files.write(folder.resolve("m.yaml"), "x".repeat((64 << 20) + 1).getBytes(StandardCharsets.UTF_8));
        assertThatThrownBy(() -> Manifest.read(folder.resolve("m.yaml"), OPTIONS))
                .hasMessageContaining("split it");
        assertThatThrownBy(() -> Manifest.read(folder.resolve("none.yaml"), OPTIONS))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("there is no manifest");
    }

    @Test
    void sharesAreDisjointAndWholeAndMoveForNobody() {
        List<Job> jobs = IntStream.range(0, 1000)
                .mapToObj(i -> new Job("m/" + i + ".onnx", "", Map.of()))
                .toList();
        List<Job> fewer = jobs.subList(0, 500);
        for (int count : new int[] {1, 3, 16}) {
            List<List<Job>> shares = IntStream.range(0, count)
                    .mapToObj(i -> new Shard(i, count).of(jobs))
                    .toList();
            assertThat(shares.stream().flatMap(List::stream).toList()).containsExactlyInAnyOrderElementsOf(jobs);
            for (int i = 0; i < count; i++) {
                assertThat((double) shares.get(i).size()).isBetween(500.0 / count, 1500.0 / count);
                assertThat(shares.get(i)).containsAll(new Shard(i, count).of(fewer));
            }
        }
    }

    @Test
    void aShareIsCountedFromZeroAndKubernetesMayNumberIt() {
        assertThat(Shard.of("3/16", Optional.of("7"))).isEqualTo(new Shard(3, 16));
        assertThat(Shard.of("16", Optional.of("7"))).isEqualTo(new Shard(7, 16));
        assertThat(Shard.of("1", Optional.of("0"))).isEqualTo(Shard.WHOLE);
        for (String wrong : new String[] {"16/16", "-1/4", "a/4", "1/", "/4", "0/0", "1/2/3", "99999999/1", ""}) {
            assertThatThrownBy(() -> Shard.of(wrong, Optional.of("7")))
                    .as(wrong)
                    .isInstanceOf(UsageException.class);
        }
        assertThatThrownBy(() -> Shard.of("16", Optional.empty())).hasMessageContaining("set JOB_COMPLETION_INDEX");
        assertThatThrownBy(() -> Shard.of("16", Optional.of("16")))
                .hasMessageContaining("shard 16 of 16 does not exist");
    }
}
