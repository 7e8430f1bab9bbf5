package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.list;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.Adjustment;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.TestDevices;
import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Of images of several sizes each has equal weight: a layer's mean error is the mean of the images' own. */
@Tag("cuda")
final class MixedSizesTest {
    private static final int[][] SIZES = {{9, 7}, {20, 31}, {9, 7}, {5, 5}, {31, 20}};
    private static final Normalization PIXELS = new Normalization(255, new float[] {0.4f}, new float[] {0.3f});

    @TempDir
    Path folder;

    /** Two layers that are given the same image, so that neither's correction changes the other's error. */
    private static ModelProto model() {
        GraphBuilder g = new GraphBuilder(8);
        String x = g.input("x", 3, -1, -1);
        String a = g.node(
                "Conv",
                "a",
                List.of(x, g.weights("wa", 0.4, 6, 3, 3, 3), g.weights("ba", 0.2, 6)),
                list("pads", 1, 1, 1, 1));
        String b = g.node("Conv", "b", List.of(x, g.weights("wb", 0.4, 6, 3, 1, 1)));
        return g.build(g.node("GlobalAveragePool", "y", List.of(g.node("Add", "sum", List.of(a, b)))));
    }

    static Stream<Arguments> ways() {
        return TestDevices.names().stream().flatMap(d -> Stream.of(Reference.values())
                .flatMap(r -> Stream.of(true, false).map(errors -> Arguments.of(d, r, errors))));
    }

    private static void write(Path folder, int image, int[] size) throws IOException {
        Files.createDirectories(folder);
        Random random = new Random(image);
        BufferedImage picture = new BufferedImage(size[0], size[1], BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < size[0] * size[1]; i++) {
            // Darker and darker, so that images differ.
            picture.setRGB(i % size[0], i / size[0], random.nextInt(1 << 24) & ((0xff >> image) * 0x010101));
        }
        assertThat(ImageIO.write(picture, "png", folder.resolve(image + ".png").toFile()))
                .isTrue();
    }

    private static CorrectionResult correct(
            ModelProto f, ModelProto q, Path folder, String device, Reference reference, boolean errors) {
        try (Samples samples = Samples.open(folder, PIXELS)) {
            return BiasCorrection.of(OnnxModel.of("f", f), OnnxModel.of("q", q))
                    .correct(
                            samples,
                            CorrectionOptions.builder()
                                    .device(device)
                                    .reference(reference)
                                    .errors(errors)
                                    .batchSize(4)
                                    .build());
        }
    }

    @ParameterizedTest
    @MethodSource("ways")
    void theMeanErrorIsTheMeanOfTheImagesOwn(String device, Reference reference, boolean errors) throws IOException {
        ModelProto floating = model();
        for (ModelProto quantized : List.of(
                RoundedWeights.of(floating, 3),
                QdqWriter.weightsAndActivations(floating, 4, Toy.samples(fixed(floating), 3, 2)))) {
            List<CorrectionResult> alone = new ArrayList<>();
            for (int i = 0; i < SIZES.length; i++) {
                write(folder.resolve("all"), i, SIZES[i]);
                write(folder.resolve("image" + i), i, SIZES[i]);
                alone.add(correct(floating, quantized, folder.resolve("image" + i), device, reference, errors));
            }
            CorrectionResult all = correct(floating, quantized, folder.resolve("all"), device, reference, errors);
            assertThat(all.samples()).isEqualTo(SIZES.length);
            for (int layer = 0; layer < all.layers().size(); layer++) {
                LayerResult result = all.layers().get(layer);
                Moments m = result.moments().orElseThrow();
                for (int c = 0; c < m.channels(); c++) {
                    double mean = 0;
                    for (CorrectionResult one : alone) {
                        mean += one.layers().get(layer).moments().orElseThrow().delta()[c] / (double) SIZES.length;
                    }
                    assertThat((double) m.delta()[c]).as(result.name()).isCloseTo(mean, within(2e-6));
                }
                if (errors) {
                    int at = layer;
                    double mse = alone.stream()
                            .mapToDouble(r -> r.layers()
                                    .get(at)
                                    .moments()
                                    .orElseThrow()
                                    .measured()
                                    .mseBefore())
                            .average()
                            .orElseThrow();
                    assertThat(m.measured().mseBefore()).isCloseTo(mse, within(1e-5 * mse));
                }
            }
        }
    }

    /** The model with a size that samples can be drawn for. */
    private static ModelProto fixed(ModelProto model) {
        ModelProto.Builder out = model.toBuilder();
        var shape = out.getGraphBuilder()
                .getInputBuilder(0)
                .getTypeBuilder()
                .getTensorTypeBuilder()
                .getShapeBuilder();
        shape.getDimBuilder(2).setDimValue(6);
        shape.getDimBuilder(3).setDimValue(6);
        return out.build();
    }

    @ParameterizedTest
    @EnumSource(Reference.class)
    void weightsAreNotChosenFromThem(Reference reference) throws IOException {
        ModelProto floating = model();
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("f", floating), OnnxModel.of("q", RoundedWeights.of(floating, 3)));
        for (int i = 0; i < SIZES.length; i++) {
            write(folder, i, SIZES[i]);
        }
        CorrectionOptions options = CorrectionOptions.builder()
                .device("cpu")
                .reference(reference)
                .adjust(Adjustment.WEIGHTS)
                .build();
        try (Samples samples = Samples.open(folder, PIXELS)) {
            assertThatThrownBy(() -> correction.correct(samples, options))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("several sizes");
            assertThatThrownBy(() -> correction.footprint(samples, options, SIZES.length))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("several sizes");
        }
    }
}
