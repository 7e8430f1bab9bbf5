package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.CancelledException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Folders of images: which files, in which order, and which value lands where. */
class ImageSamplesTest {
    private static final int W = 16;
    private static final int H = 2;

    @TempDir
    Path folder;

    private static InputSpec input(int channels, int height, int width) {
        return new InputSpec("pixels", ElementType.FLOAT, new long[] {-1, channels, height, width});
    }

    private void write(BufferedImage image, String name) throws IOException {
        String format = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
        assertThat(ImageIO.write(image, format, folder.resolve(name).toFile())).isTrue();
    }

    private static BufferedImage filled(int rgb, int width, int height) {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < width * height; i++) {
            image.setRGB(i % width, i / width, rgb);
        }
        return image;
    }

    private float[] readAll(InputSpec input, Normalization normalization) {
        try (Samples samples = Samples.open(folder, normalization);
                Batches batches = samples.bind(List.of(input)).batches(1000)) {
            float[] all = batches.next().get(0).toFloats();
            assertThat(batches.hasNext()).isFalse();
            return all;
        }
    }

    private static int red(int i) {
        return 8 * i;
    }

    private static int green(int i) {
        return 255 - i;
    }

    private static int blue(int i) {
        return 3 * i + 1;
    }

    private static float[] planes() {
        float[] expected = new float[3 * W * H];
        for (int i = 0; i < W * H; i++) {
            expected[i] = red(i);
            expected[W * H + i] = green(i);
            expected[2 * W * H + i] = blue(i);
        }
        return expected;
    }

    @ParameterizedTest
    @ValueSource(ints = {BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_INT_ARGB})
    void coloursBecomeRedGreenAndBluePlanesAndAlphaIsIgnored(int type) throws IOException {
        BufferedImage image = new BufferedImage(W, H, type);
        for (int i = 0; i < W * H; i++) {
            image.setRGB(i % W, i / W, (5 * i + 1) << 24 | red(i) << 16 | green(i) << 8 | blue(i));
        }
        write(image, "a.png");
        assertThat(readAll(input(3, H, W), Normalization.NONE)).containsExactly(planes());
    }

    @Test
    void indexedImagesGiveTheColoursOfTheirPalette() throws IOException {
        byte[] r = new byte[W * H];
        byte[] g = new byte[W * H];
        byte[] b = new byte[W * H];
        for (int i = 0; i < W * H; i++) {
            r[i] = (byte) red(i);
            g[i] = (byte) green(i);
            b[i] = (byte) blue(i);
        }
        IndexColorModel palette = new IndexColorModel(8, W * H, r, g, b);
        BufferedImage image = new BufferedImage(W, H, BufferedImage.TYPE_BYTE_INDEXED, palette);
        for (int i = 0; i < W * H; i++) {
            image.getRaster().setSample(i % W, i / W, 0, i);
        }
        write(image, "a.png");
        assertThat(readAll(input(3, H, W), Normalization.NONE)).containsExactly(planes());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void everyGreyValueIsExactInOneChannelAndInThree(int channels) throws IOException {
        BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_BYTE_GRAY);
        float[] expected = new float[channels * 256];
        for (int i = 0; i < 256; i++) {
            image.getRaster().setSample(i % 16, i / 16, 0, i);
            for (int c = 0; c < channels; c++) {
                expected[256 * c + i] = i;
            }
        }
        write(image, "a.png");
        assertThat(readAll(input(channels, 16, 16), Normalization.NONE)).containsExactly(expected);
    }

    @Test
    void blackAndWhiteImagesGive0And255() throws IOException {
        BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY);
        image.setRGB(1, 0, 0xffffff);
        write(image, "a.png");
        assertThat(readAll(input(1, 1, 2), Normalization.NONE)).containsExactly(0, 255);
    }

    @Test
    void oneChannelOfAColourImageIsItsLuminance() throws IOException {
        write(filled(0xff0000, 1, 1), "0.png");
        write(filled(0x00ff00, 1, 1), "1.png");
        write(filled(0x0000ff, 1, 1), "2.png");
        write(filled(0xc8c8c8, 1, 1), "3.png");
        assertThat(readAll(input(1, 1, 1), Normalization.NONE)).containsExactly(76, 150, 29, 200);
    }

    @Test
    void normalisationIsPerChannel() throws IOException {
        write(filled(0x336699, 1, 1), "a.png");
        Normalization perChannel = new Normalization(255, new float[] {0.1f, 0.2f, 0.3f}, new float[] {0.5f, 2, 4});
        assertThat(readAll(input(3, 1, 1), perChannel))
                .containsExactly((0x33 / 255f - 0.1f) / 0.5f, (0x66 / 255f - 0.2f) / 2f, (0x99 / 255f - 0.3f) / 4f);
    }

    @Test
    void filesAreSortedByNameAndOnlyImagesAreTaken() throws IOException {
        write(filled(0x030303, 1, 1), "c.bmp");
        write(filled(0x010101, 1, 1), "a.PNG");
        write(filled(0x020202, 1, 1), "b10.gif");
        write(filled(0x040404, 1, 1), "b2.png");
        Files.writeString(folder.resolve("a.png.txt"), "not an image");
        assertThat(readAll(input(1, 1, 1), Normalization.NONE)).containsExactly(1, 2, 4, 3);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 1000})
    void batchesOfAnySizeGiveEveryImageOnceAgainAndAgain(int batchSize) throws IOException {
        for (int i = 0; i < 15; i++) {
            write(filled(i * 0x010101, 3, 2), String.format(Locale.ROOT, "%03d.png", i));
        }
        try (Samples samples = Samples.open(folder, Normalization.NONE)) {
            BoundSamples bound = samples.limit(13).bind(List.of(input(3, -1, -1)));
            assertThat(bound.count()).isEqualTo(13);
            for (int round = 0; round < 2; round++) {
                int i = 0;
                try (Batches batches = bound.batches(batchSize)) {
                    while (batches.hasNext()) {
                        var batch = batches.next().get(0);
                        int n = Math.min(batchSize, 13 - i);
                        assertThat(batch.shape()).containsExactly(n, 3, 2, 3);
                        float[] values = batch.toFloats();
                        for (int k = 0; k < values.length; k++) {
                            assertThat(values[k]).isEqualTo(i + k / 18);
                        }
                        i += n;
                    }
                }
                assertThat(i).isEqualTo(13);
            }
        }
    }

    private void assertUnsupported(InputSpec input, String... parts) {
        assertThatThrownBy(() -> readAll(input, Normalization.NONE))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(parts);
    }

    @Test
    void anImageOfAnotherSizeIsRefusedByNameWithBothSizes() throws IOException {
        write(filled(0, 4, 3), "a.png");
        write(filled(0, 5, 3), "b.png");
        assertUnsupported(input(3, 3, 5), folder.resolve("a.png").toString(), "4 x 3", "5 x 3", "`resize` 5x3");
        assertUnsupported(input(3, 2, -1), ".png", "x 3", "any x 2");
    }

    @Test
    void aDamagedImageIsRefusedByName() throws IOException {
        write(filled(0x123456, 40, 40), "a.png");
        write(filled(0x123456, 40, 40), "b.png");
        Path damaged = folder.resolve("b.png");
        byte[] bytes = Files.readAllBytes(damaged);
        Files.write(damaged, Arrays.copyOf(bytes, bytes.length / 2));
        assertUnsupported(input(3, 40, 40), damaged.toString(), "damaged");
    }

    @Test
    void aFileThatOnlyHasTheNameOfAnImageIsRefusedByName() throws IOException {
        Files.writeString(folder.resolve("a.png"), "text");
        assertUnsupported(input(3, 1, 1), folder.resolve("a.png").toString(), "not an image");
    }

    @Test
    void aFolderWithoutImagesIsRefused() {
        assertUnsupported(input(3, 1, 1), folder.toString(), "holds no images");
    }

    @Test
    void inputsThatImagesCannotFillAreRefusedByNameTypeAndShape() throws IOException {
        write(filled(0, 1, 1), "a.png");
        assertUnsupported(input(4, 1, -1), folder.toString(), "'pixels'", "FLOAT", "[N,4,1,?]");
        assertUnsupported(
                new InputSpec("pixels", ElementType.UINT8, new long[] {-1, 3, 1, 1}), "'pixels'", "UINT8", "[N,3,1,1]");
        assertUnsupported(new InputSpec("pixels", ElementType.FLOAT, new long[] {-1, 3}), "'pixels'", "[N,3]");
    }

    @Test
    void imagesForSeveralInputsAreRefused() throws IOException {
        write(filled(0, 1, 1), "a.png");
        try (Samples samples = Samples.open(folder, Normalization.NONE)) {
            assertThatThrownBy(() -> samples.bind(List.of(input(3, 1, 1), input(3, 1, 1))))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll("one input", "has 2");
        }
    }

    @Test
    void anotherNumberOfMeansThanChannelsIsRefusedAtBinding() throws IOException {
        write(filled(0, 1, 1), "a.png");
        try (Samples samples = Samples.open(folder, new Normalization(1, new float[2], new float[] {1}))) {
            assertThatThrownBy(() -> samples.bind(List.of(input(3, 1, 1))))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll("mean and std", "'pixels'", "[N,3,1,1]");
        }
    }

    @Test
    void whoIsInterruptedIsToldThatTheWorkWasCancelled() throws IOException {
        for (int i = 0; i < 3; i++) {
            write(filled(i, 1500, 1500), i + ".png");
        }
        try (Samples samples = Samples.open(folder, Normalization.NONE);
                Batches batches = samples.bind(List.of(input(3, 1500, 1500))).batches(3)) {
            Thread.currentThread().interrupt();
            assertThatThrownBy(batches::next)
                    .isInstanceOf(CancelledException.class)
                    .hasMessageContaining("interrupted")
                    .hasCauseInstanceOf(InterruptedException.class);
            assertThat(Thread.interrupted()).isTrue();
        } finally {
            // No other test is interrupted where this one fails.
            Thread.interrupted();
        }
    }
}
