package dev.rebias;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.ToyFiles;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Many networks are compared a few at a time, and each comes out as it does alone. */
final class NetworkComparisonTest {
    @TempDir
    Path folder;

    @Test
    void eachOfManyIsMeasuredAsItIsAlone() throws IOException {
        ToyFiles.write(folder);
        OnnxModel floating = OnnxModel.read(folder.resolve("float.onnx"));
        OnnxModel quantized = OnnxModel.read(folder.resolve("quantized.onnx"));
        try (Samples samples = Samples.open(folder.resolve("samples.npy"), Normalization.NONE)) {
            NetworkDistance ofFloat = NetworkComparison.of(floating, floating, samples);
            NetworkDistance ofQuantized = NetworkComparison.of(floating, quantized, samples);
            assertThat(ofQuantized).isNotEqualTo(ofFloat);
            for (int n : new int[] {1, 3, 4, 5, 8, 11}) {
                List<Boolean> which =
                        IntStream.range(0, n).mapToObj(i -> i % 3 == 0).toList();
                assertThat(NetworkComparison.of(
                                floating,
                                which.stream()
                                        .map(q -> q ? quantized : floating)
                                        .toList(),
                                samples))
                        .as(n + " networks")
                        .isEqualTo(which.stream()
                                .map(q -> q ? ofQuantized : ofFloat)
                                .toList());
            }
            assertThat(NetworkComparison.of(floating, List.of(), samples)).isEmpty();
        }
    }
}
