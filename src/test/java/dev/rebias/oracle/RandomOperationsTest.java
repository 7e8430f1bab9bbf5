package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.TestDevices;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Legal nodes with random attributes, shapes and values: every device computes what ONNX Runtime computes. */
@Tag("cuda")
final class RandomOperationsTest {
    private static final int OPERATIONS = Integer.getInteger("rebias.random.operations", 2000);
    private static final long FIRST = Long.getLong("rebias.random.first", 0);

    private enum Result {
        RIGHT,
        /** ONNX Runtime has no kernel for it, or finds it illegal. */
        ILLEGAL,
        /** The device does not take it, and says so. */
        REFUSED,
        WRONG,
        CRASHED
    }

    private static final String CACHE = "rebias.cache";
    private static final Optional<String> CACHE_BEFORE = Optional.ofNullable(System.getProperty(CACHE));

    /** Kernels for random nodes are hundreds, which nobody needs again: they have a cache of their own. */
    @BeforeAll
    static void useOtherCache() {
        System.setProperty(CACHE, CACHE_BEFORE.orElse("target/kernel-cache") + "-random");
    }

    @AfterAll
    static void useCacheAgain() {
        CACHE_BEFORE.ifPresentOrElse(c -> System.setProperty(CACHE, c), () -> System.clearProperty(CACHE));
    }

    private static List<String> devices() {
        return TestDevices.names();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void everyDeviceComputesWhatOnnxRuntimeComputes(String name) {
        Map<Result, Integer> counts = new EnumMap<>(Result.class);
        Map<String, Integer> onHost = new TreeMap<>();
        List<String> faults = new ArrayList<>();
        for (long seed = FIRST; seed < FIRST + OPERATIONS; seed++) {
            RandomOperation operation = RandomOperation.of(seed);
            Outcome outcome = outcome(name, operation);
            counts.merge(outcome.result(), 1, Integer::sum);
            outcome.onHost().forEach(t -> onHost.merge(t, 1, Integer::sum));
            if (outcome.result() == Result.WRONG || outcome.result() == Result.CRASHED) {
                faults.add(outcome.result() + ", seed " + seed + ": " + operation + ": " + outcome.detail());
            }
        }
        System.out.printf("%s: %d random operations %s, on the host %s%n", name, OPERATIONS, counts, onHost);
        assertThat(faults).isEmpty();
        assertThat(counts.getOrDefault(Result.REFUSED, 0)).as("refused").isLessThanOrEqualTo(OPERATIONS / 100);
    }

    private static Stream<Arguments> found() {
        List<Arguments> all = new ArrayList<>();
        for (String device : TestDevices.names()) {
            RandomOperation.found().forEach((what, operation) -> all.add(Arguments.of(device, what, operation)));
        }
        return all.stream();
    }

    /** Each was wrong, or refused for no reason, on one of the devices. */
    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("found")
    void whatOnceDifferedDoesNotAgain(String device, String what, RandomOperation operation) {
        Outcome outcome = outcome(device, operation);
        assertThat(outcome.result())
                .as("%s, %s: %s", what, operation, outcome.detail())
                .isEqualTo(Result.RIGHT);
        assertThat(outcome.onHost()).as("%s on the host", what).isEmpty();
    }

    /** ONNX Runtime ends the process where it sees one; it has no element to begin with. */
    @ParameterizedTest
    @MethodSource("devices")
    void aSliceOfNothingBackwardsIsRefused(String name) {
        RandomOperation slice = RandomOperation.sliceOfNothingBackwards();
        try (Device device = Devices.open(name).device()) {
            assertThatThrownBy(() -> DeviceNetwork.run(device, OnnxModel.of("random", slice.model()), slice.given()))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("Slice has a step of -1 along an axis of size 0");
        }
    }

    private record Outcome(Result result, String detail, List<String> onHost) {}

    private static Outcome outcome(String name, RandomOperation operation) {
        Optional<Map<String, HostTensor>> expected = expected(operation);
        Outcome outcome;
        try (Device device = Devices.open(name).device()) {
            Result result;
            String detail;
            try {
                Map<String, HostTensor> actual =
                        DeviceNetwork.run(device, OnnxModel.of("random", operation.model()), operation.given());
                Optional<String> difference = expected.flatMap(e -> difference(e, actual));
                detail = difference.orElse("");
                result = expected.isEmpty() ? Result.ILLEGAL : difference.isEmpty() ? Result.RIGHT : Result.WRONG;
            } catch (RebiasException e) {
                detail = e.getMessage();
                result = expected.isEmpty() ? Result.ILLEGAL : Result.REFUSED;
            } catch (RuntimeException | Error e) {
                detail = e + " at " + e.getStackTrace()[0];
                result = Result.CRASHED;
            }
            List<String> onHost = device.log().warnings().stream()
                    .filter(w -> w.contains("no form for the GPU"))
                    .map(w -> w.substring(0, w.indexOf(' ')))
                    .toList();
            outcome = new Outcome(result, detail, onHost);
        }
        if (Emulator.present()) {
            assertThat(Emulator.require().violation()).as("%s", operation).isEmpty();
            assertThat(Emulator.require().live()).as("%s", operation).isEmpty();
        }
        return outcome;
    }

    private static Optional<String> difference(Map<String, HostTensor> expected, Map<String, HostTensor> actual) {
        return expected.entrySet().stream()
                .map(e -> OnnxNodeTest.difference(e.getValue(), actual.get(e.getKey())))
                .flatMap(Optional::stream)
                .findFirst();
    }

    /** What ONNX Runtime computes; empty where it refuses. */
    private static Optional<Map<String, HostTensor>> expected(RandomOperation operation) {
        Map<String, OnnxTensor> fed = new HashMap<>();
        try (OrtSession session = OnnxRuntime.session(
                operation.model().toByteArray(),
                OrtSession.SessionOptions.OptLevel.NO_OPT,
                OnnxRuntime.Threads.CALLER)) {
            for (Map.Entry<String, HostTensor> input : operation.given().entrySet()) {
                fed.put(input.getKey(), OnnxRuntime.view(input.getValue()));
            }
            try (OrtSession.Result result = session.run(fed)) {
                Map<String, HostTensor> outputs = new LinkedHashMap<>();
                for (Map.Entry<String, OnnxValue> output : result) {
                    outputs.put(output.getKey(), OnnxRuntime.copy(output.getKey(), output.getValue()));
                }
                return Optional.of(outputs);
            }
        } catch (OrtException e) {
            return Optional.empty();
        } finally {
            fed.values().forEach(OnnxTensor::close);
        }
    }
}
