package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Images of every kind and size become what Pillow makes of them (src/test/resources/images/make.py). */
class ImageKindsTest {
    private static final Path IMAGES =
            Path.of(System.getProperty("basedir", "."), "src", "test", "resources", "images");

    @TempDir
    Path folder;

    private static HostTensor expected(String name) {
        return Npz.read(IMAGES.resolve("expected.npz"), name);
    }

    private static void compare(String name, Picture got, HostTensor expected, int tolerance) {
        assertThat(new long[] {got.height(), got.width(), got.channels()})
                .as(name)
                .isEqualTo(expected.shape());
        int worst = 0;
        for (int i = 0; i < got.pixels().length; i++) {
            worst = Math.max(worst, Math.abs(Byte.toUnsignedInt(got.pixels()[i]) - (int) expected.number(i)));
        }
        assertThat(worst).as(name).isLessThanOrEqualTo(tolerance);
    }

    static Stream<String> kinds() {
        return Npz.names(IMAGES.resolve("expected.npz")).stream().filter(n -> n.contains("."));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyKindOfFileIsReadUprightAsItIsStored(String name) {
        Picture got = ImageDecoder.decode(IMAGES.resolve(name)).withChannels(3);
        // The inverse cosine transform of JPEG is no exact science.
        compare(name, got, expected(name), name.endsWith(".jpg") ? 3 : 0);
        assertThat(ImageDecoder.size(IMAGES.resolve(name))).isEqualTo(got.size());
    }

    static Stream<String> resized() {
        return Npz.names(IMAGES.resolve("expected.npz")).stream().filter(n -> n.startsWith("bi"));
    }

    @ParameterizedTest
    @MethodSource("resized")
    void imagesAreResizedAsPillowDoesIt(String name) {
        Picture image = ImageDecoder.decode(IMAGES.resolve("rgb.png")).withChannels(name.contains("grey") ? 1 : 3);
        String size = name.substring(name.lastIndexOf('-') + 1);
        ImageOptions.Filter filter =
                name.startsWith("bicubic") ? ImageOptions.Filter.BICUBIC : ImageOptions.Filter.BILINEAR;
        Picture got = Resampler.resize(image, ImageOptions.Size.of(size), filter);
        // A luminance on the edge between two numbers may be either, which resizing does not make more of.
        compare(name, got, expected(name), name.contains("grey") ? 1 : 0);
    }

    private void write(String name, int width, int height) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                image.setRGB(x, y, x << 16 | y << 8 | 77);
            }
        }
        assertThat(ImageIO.write(image, "png", file.toFile())).isTrue();
    }

    private HostTensor read(ImageOptions options, long[] shape) {
        try (Samples samples = Samples.open(folder, Normalization.NONE, options);
                Batches batches = samples.bind(List.of(new InputSpec("x", ElementType.FLOAT, shape)))
                        .batches(100)) {
            return batches.next().get(0);
        }
    }

    @ParameterizedTest
    @CsvSource({
        // image, short side, what torchvision makes of it
        "100,75,50,66,50",
        "75,100,50,50,66",
        "60,60,31,31,31",
        "10,200,256,256,5120",
        "101,33,32,97,32"
    })
    void theShortSideIsGivenAndTheLongOneRoundedDown(int w, int h, int side, int width, int height) throws IOException {
        write("a.png", w, h);
        HostTensor x =
                read(ImageOptions.AS_THEY_ARE.withResize(new ImageOptions.ShortSide(side)), new long[] {-1, 3, -1, -1});
        assertThat(x.shape()).containsExactly(1, 3, height, width);
    }

    @ParameterizedTest
    @CsvSource({"10,10,4,4,3,3", "11,10,4,4,4,3", "13,9,4,4,4,2", "5,5,5,5,0,0"})
    void theMiddleIsKept(int w, int h, int cw, int ch, int left, int top) throws IOException {
        write("a.png", w, h);
        HostTensor x =
                read(ImageOptions.AS_THEY_ARE.withCrop(new ImageOptions.Size(cw, ch)), new long[] {-1, 3, ch, cw});
        assertThat(x.floats().get(0)).isEqualTo(left);
        assertThat(x.floats().get(cw * ch)).isEqualTo(top);
    }

    @Test
    void aCropLargerThanTheImageIsRefused() throws IOException {
        write("a.png", 10, 10);
        assertThatThrownBy(() -> read(
                        ImageOptions.AS_THEY_ARE.withCrop(new ImageOptions.Size(11, 3)), new long[] {-1, 3, 3, 11}))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("a.png", "10 x 10", "11 x 3", "`resize`");
    }

    @Test
    void aLetterboxHoldsTheWholeImageInItsMiddle() throws IOException {
        write("a.png", 40, 20);
        for (ImageOptions.Letterbox box :
                List.of(ImageOptions.Letterbox.of("20:9"), new ImageOptions.Letterbox(0, 0, 9))) {
            HostTensor x = read(ImageOptions.AS_THEY_ARE.withResize(box), new long[] {-1, 3, 20, 20});
            for (int y = 0; y < 20; y++) {
                float blue = x.floats().get(2 * 400 + y * 20 + 3);
                assertThat(blue).isEqualTo(y >= 5 && y < 15 ? 77 : 9);
            }
        }
    }

    @Test
    void channelsComeInTheOrderThatIsAskedForAndLastWhereTheModelHasThemLast() throws IOException {
        write("a.png", 3, 2);
        HostTensor rgb = read(ImageOptions.AS_THEY_ARE, new long[] {-1, 2, 3, 3});
        HostTensor bgr = read(ImageOptions.AS_THEY_ARE.withOrder(ImageOptions.Order.BGR), new long[] {-1, 2, 3, 3});
        assertThat(rgb.shape()).containsExactly(1, 2, 3, 3);
        assertThat(rgb.toFloats()).startsWith(0, 0, 77, 1, 0, 77);
        assertThat(bgr.toFloats()).startsWith(77, 0, 0, 77, 0, 1);
    }

    @Test
    void imagesOfSubfoldersAreTakenByPathAndHiddenOnesAreNot() throws IOException {
        write("b/2.png", 2, 1);
        write("a/deep/1.png", 1, 1);
        write("c.png", 3, 1);
        write(".hidden/0.png", 9, 1);
        write("a/._1.png", 9, 1);
        List<Integer> widths = new ArrayList<>();
        try (Samples samples = Samples.open(folder, Normalization.NONE, ImageOptions.AS_THEY_ARE);
                Batches batches = samples.bind(
                                List.of(new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, 1, -1})))
                        .batches(10)) {
            while (batches.hasNext()) {
                widths.add((int) batches.next().get(0).shape()[3]);
            }
        }
        // One group for each size, the largest first.
        assertThat(widths).containsExactly(3, 2, 1);
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3", "100"})
    void imagesOfOneSizeGoThroughTogetherAndEachOnce(int batchSize) throws IOException {
        int[] widths = {2, 5, 2, 2, 5, 3};
        for (int i = 0; i < widths.length; i++) {
            write(i + ".png", widths[i], 1);
        }
        try (Samples samples = Samples.open(folder, Normalization.NONE)) {
            BoundSamples bound =
                    samples.bind(List.of(new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, -1, -1})));
            assertThat(bound.count()).isEqualTo(6);
            assertThat(bound.shapes()).isEqualTo(3);
            int read = 0;
            int count = 0;
            try (Batches batches = bound.batches(batchSize)) {
                for (; batches.hasNext(); count++) {
                    long[] shape = batches.next().get(0).shape();
                    assertThat(shape[0]).isEqualTo(batches.samples()).isLessThanOrEqualTo(batchSize);
                    read += batches.samples();
                }
            }
            assertThat(read).isEqualTo(6);
            assertThat(count).isEqualTo(bound.batchCount(batchSize));
        }
    }

    @Test
    void optionsThatAreNoneAreTheUsersMistake() {
        for (Runnable wrong : List.<Runnable>of(
                () -> ImageOptions.Size.of("12x"),
                () -> ImageOptions.Size.of("0"),
                () -> ImageOptions.Size.of("1x2x3"),
                () -> ImageOptions.Letterbox.of("640:256"),
                () -> ImageOptions.Letterbox.of("640:grey"),
                () -> new ImageOptions.ShortSide(0),
                () -> Preset.of("imagenet2"))) {
            assertThatThrownBy(wrong::run).isInstanceOf(UsageException.class);
        }
        assertThat(Preset.of("imagenet-bgr").images().order()).isEqualTo(ImageOptions.Order.BGR);
        assertThat(Preset.of("yolo").images().resize()).contains(new ImageOptions.Letterbox(0, 0, 114));
    }
}
