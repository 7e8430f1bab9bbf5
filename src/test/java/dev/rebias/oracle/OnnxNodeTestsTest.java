package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.TestDevices;
import dev.rebias.oracle.OnnxNodeTest.Outcome;
import dev.rebias.oracle.OnnxNodeTest.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the ONNX project expects of every operation, and what devices make of it. */
@Tag("cuda")
final class OnnxNodeTestsTest {
    /** Where Debian's and Ubuntu's package libonnx-testdata puts the ONNX project's own tests. */
    private static final Path INSTALLED = Path.of("/usr/share/libonnx-testdata/data");

    private static final int RIGHT = 850;
    private static final int WITHOUT_HOST = 650;

    /** Those whose expected outputs ONNX Runtime, by which rebias goes, does not give either, with the reason. */
    private static final Map<String, String> DIFFERENT = Map.ofEntries(
            Map.entry("test_bernoulli", "random numbers"),
            Map.entry("test_bernoulli_double", "random numbers"),
            Map.entry("test_bernoulli_double_expanded", "random numbers"),
            Map.entry("test_bernoulli_expanded", "random numbers"),
            Map.entry("test_bernoulli_seed", "random numbers of another generator"),
            Map.entry("test_bernoulli_seed_expanded", "random numbers of another generator"),
            Map.entry("test_training_dropout", "random numbers of another generator"),
            Map.entry("test_training_dropout_default", "random numbers of another generator"),
            Map.entry("test_training_dropout_default_mask", "random numbers of another generator"),
            Map.entry("test_training_dropout_mask", "random numbers of another generator"),
            Map.entry("test_maxunpool_export_with_output_shape", "indices into another shape"),
            Map.entry("test_resize_downsample_scales_cubic_align_corners", "sizes before they were rounded down"),
            Map.entry("test_resize_downsample_scales_linear_align_corners", "sizes before they were rounded down"));

    private static List<String> devices() {
        return TestDevices.names();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void devicesPassTheTestsOfTheOnnxProject(String name) throws IOException {
        Assumptions.assumeTrue(Files.isDirectory(INSTALLED), "the package libonnx-testdata is not installed");
        List<Outcome> outcomes = outcomes(name, INSTALLED);
        long right = count(outcomes, Result.RIGHT);
        assertThat(failures(outcomes, Result.CRASHED)).isEmpty();
        assertThat(outcomes.stream()
                        .filter(o -> o.result() == Result.WRONG)
                        .filter(o -> !DIFFERENT.containsKey(
                                o.test().folder().getFileName().toString()))
                        .map(Outcome::toString))
                .isEmpty();
        assertThat(right).as("right on %s", name).isGreaterThanOrEqualTo(RIGHT);
        assertThat(withoutHost(outcomes))
                .as("right on %s without the host", name)
                .isGreaterThanOrEqualTo(WITHOUT_HOST);
    }

    /** Tests of our own, for what cards have forms for: they are everywhere, and none needs the host. */
    @ParameterizedTest
    @MethodSource("devices")
    void devicesPassOurOwnTestsWithoutTheHost(String name) throws IOException {
        List<Outcome> outcomes = outcomes(name, Path.of("src/test/resources/node-tests"));
        assertThat(outcomes).hasSizeGreaterThan(40);
        assertThat(outcomes)
                .allSatisfy(o -> assertThat(o.result()).as("%s", o).isEqualTo(Result.RIGHT))
                .allSatisfy(o -> assertThat(o.onHost()).as("%s", o).isEmpty());
    }

    private static List<Outcome> outcomes(String name, Path root) throws IOException {
        List<Outcome> outcomes = new ArrayList<>();
        for (OnnxNodeTest test : OnnxNodeTest.below(root)) {
            try (Device device = Devices.open(name).device()) {
                outcomes.add(test.run(device));
            }
            if (Emulator.present()) {
                assertThat(Emulator.require().violation()).as(test.name()).isEmpty();
                assertThat(Emulator.require().live()).as(test.name()).isEmpty();
            }
        }
        Map<Result, Long> counts =
                outcomes.stream().collect(Collectors.groupingBy(Outcome::result, TreeMap::new, Collectors.counting()));
        Map<String, Long> onHost = outcomes.stream()
                .flatMap(o -> o.onHost().stream())
                .collect(Collectors.groupingBy(t -> t, TreeMap::new, Collectors.counting()));
        System.out.printf(
                "%s: %d node tests %s, %d right without the host; it ran %s%n",
                name, outcomes.size(), counts, withoutHost(outcomes), onHost);
        return outcomes;
    }

    private static long count(List<Outcome> outcomes, Result result) {
        return outcomes.stream().filter(o -> o.result() == result).count();
    }

    private static long withoutHost(List<Outcome> outcomes) {
        return outcomes.stream()
                .filter(o -> o.result() == Result.RIGHT && o.onHost().isEmpty())
                .count();
    }

    private static List<String> failures(List<Outcome> outcomes, Result result) {
        return outcomes.stream()
                .filter(o -> o.result() == result)
                .map(Outcome::toString)
                .toList();
    }
}
