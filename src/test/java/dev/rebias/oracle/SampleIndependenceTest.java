package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.CorrectionResult;
import dev.rebias.device.TestDevices;
import dev.rebias.model.OnnxModel;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A network in whose file a batch is written, or whose samples influence each other, is run one sample at a time and
 * says so; others are not.
 */
@Tag("cuda")
final class SampleIndependenceTest {
    /** Heads behind a convolution [N,4,6,6], and whether samples influence each other in them. */
    private enum Head {
        RESHAPE_TO_ONE(true) {
            @Override
            String build(GraphBuilder g, String x) {
                return g.node("Reshape", "flat", List.of(x, g.integers("shape", 1, -1)));
            }
        },
        RESHAPE_TO_ONE_AND_CHANNELS(true) {
            @Override
            String build(GraphBuilder g, String x) {
                String rows = g.node("Reshape", "rows", List.of(x, g.integers("shape", 1, 4, -1)));
                return g.node("Reshape", "flat", List.of(soft(g, rows), g.integers("flat_shape", -1, 144)));
            }
        },
        SOFTMAX_ACROSS_SAMPLES(true) {
            @Override
            String build(GraphBuilder g, String x) {
                String flat = g.node("Flatten", "flat", List.of(x));
                return g.node("Softmax", "soft", List.of(flat), integer("axis", 0));
            }
        },
        MEAN_ACROSS_SAMPLES(true) {
            @Override
            String build(GraphBuilder g, String x) {
                String mean = g.node("ReduceMean", "mean", List.of(x), list("axes", 0), integer("keepdims", 1));
                return g.node("Flatten", "flat", List.of(g.node("Sub", "centred", List.of(x, mean))));
            }
        },
        RESHAPE_WITH_A_ROW_FOR_EACH(false) {
            @Override
            String build(GraphBuilder g, String x) {
                return g.node("Reshape", "flat", List.of(x, g.integers("shape", -1, 144)));
            }
        },
        RESHAPE_THAT_KEEPS_AXIS_0(false) {
            @Override
            String build(GraphBuilder g, String x) {
                String rows = g.node("Reshape", "rows", List.of(x, g.integers("shape", 0, 4, -1)));
                return g.node("Flatten", "flat", List.of(soft(g, rows)));
            }
        },
        FLATTEN(false) {
            @Override
            String build(GraphBuilder g, String x) {
                return g.node("Flatten", "flat", List.of(x));
            }
        };

        private final boolean mixes;

        Head(boolean mixes) {
            this.mixes = mixes;
        }

        abstract String build(GraphBuilder g, String x);

        private static String soft(GraphBuilder g, String x) {
            return g.node("Softmax", "soft", List.of(x), integer("axis", 2));
        }

        ModelProto model() {
            GraphBuilder g = new GraphBuilder(30);
            String a = g.node("Conv", "a", List.of(g.input("x", 3, 6, 6), g.weights("wa", 0.4, 4, 3, 1, 1)));
            String flat = build(g, g.node("Relu", "r", List.of(a)));
            return g.build(g.node("Gemm", "y", List.of(flat, g.weights("wy", 0.3, 144, 5))));
        }
    }

    static Stream<Arguments> heads() {
        return TestDevices.names().stream()
                .flatMap(d -> Stream.of(Head.values()).map(h -> Arguments.of(d, h)));
    }

    @ParameterizedTest
    @MethodSource("heads")
    void correctionsAreThoseOfOneSampleAtATime(String device, Head head) {
        ModelProto floating = head.model();
        ModelProto quantized = RoundedWeights.of(floating, 3);
        Map<String, HostTensor> samples = FileForms.tensors(Toy.samples(floating, 8, 9));
        for (Reference reference : Reference.values()) {
            CorrectionResult inBatches = correct(floating, quantized, samples, reference, 4, device);
            CorrectionResult alone = correct(floating, quantized, samples, reference, 1, device);
            assertThat(alone.warnings()).noneMatch(w -> w.contains("one sample at a time"));
            Map<String, float[]> expected = FileForms.deltas(alone);
            FileForms.deltas(inBatches).forEach((layer, delta) -> {
                for (int c = 0; c < delta.length; c++) {
                    assertThat(delta[c])
                            .isCloseTo(expected.get(layer)[c], org.assertj.core.api.Assertions.within(1e-6f));
                }
            });
            if (head.mixes) {
                assertThat(inBatches.batchSize()).isEqualTo(1);
                assertThat(inBatches.warnings()).anyMatch(w -> w.contains("one sample at a time"));
            } else {
                assertThat(inBatches.warnings()).noneMatch(w -> w.contains("one sample at a time"));
            }
        }
    }

    private static CorrectionResult correct(
            ModelProto f,
            ModelProto q,
            Map<String, HostTensor> samples,
            Reference reference,
            int batch,
            String device) {
        return FileForms.correct(OnnxModel.of("f", f), OnnxModel.of("q", q), samples, reference, batch, device);
    }
}
