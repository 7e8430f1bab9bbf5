package dev.rebias.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@Tag("cuda")
final class OnnxNodeTestsTest {
    private static final Path ROOT = Path.of("/usr/share/libonnx-testdata/data");

    private static List<String> devices() {
        return TestDevices.names();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void all(String name) throws IOException {
        Map<Result, Integer> counts = new TreeMap<>();
        int alone = 0;
        int rightAlone = 0;
        Map<String, Integer> blame = new TreeMap<>();
        StringBuilder log = new StringBuilder();
        for (OnnxNodeTest test : OnnxNodeTest.below(ROOT)) {
            Files.writeString(Path.of("target/last"), test.name());
            Outcome o;
            try (Device device = Devices.open(name).device()) {
                o = test.run(device);
            }
            counts.merge(o.result(), 1, Integer::sum);
            if (o.result() == Result.RIGHT) {
                if (o.onHost().isEmpty()) rightAlone++;
                o.onHost().forEach(t -> blame.merge(t, 1, Integer::sum));
            }
            log.append(o.result()).append('\t').append(test.name()).append('\t').append(o.onHost()).append('\t').append(o.detail().replace('\n', ' ')).append('\n');
        }
        Files.writeString(Path.of("target/node-tests-" + name + ".tsv"), log);
        System.out.println(name + ": " + counts + ", right without the host " + rightAlone + " " + blame);
    }
}
