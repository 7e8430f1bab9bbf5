package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is seen of samples that are stored as bytes is what is seen of the values that these stand for. */
final class StoredBytesSurveyTest {
    private static final int COUNT = 9;
    private static final int SIDE = 17;
    private static final Normalization NORMALIZATION =
            new Normalization(255, new float[] {0.485f, 0.456f, 0.406f}, new float[] {0.229f, 0.224f, 0.225f});
    private static final InputSurvey.Range RANGE = new InputSurvey.Range(-1.5, 1.25, 0.125);

    @TempDir
    Path folder;

    private static InputSpec input(boolean channelsLast) {
        long[] shape = channelsLast ? new long[] {-1, SIDE, SIDE, 3} : new long[] {-1, 3, SIDE, SIDE};
        return new InputSpec("x", ElementType.FLOAT, shape, channelsLast);
    }

    /** Values from 20 on, sample 4 having one throughout, and the last two alike. */
    private static byte[] pixels(int sample) {
        byte[] bytes = new byte[3 * SIDE * SIDE];
        Random random = new Random(Math.min(sample, COUNT - 2));
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (sample == 4 ? 77 : 20 + random.nextInt(200));
        }
        return bytes;
    }

    private Path array(boolean channelsLast) throws IOException {
        byte[] all = new byte[COUNT * 3 * SIDE * SIDE];
        for (int i = 0; i < COUNT; i++) {
            System.arraycopy(pixels(i), 0, all, i * 3 * SIDE * SIDE, 3 * SIDE * SIDE);
        }
        Path file = folder.resolve("x.npy");
        Files.write(
                file,
                channelsLast
                        ? NpyWriter.npy("|u1", all, COUNT, SIDE, SIDE, 3)
                        : NpyWriter.npy("|u1", all, COUNT, 3, SIDE, SIDE));
        return file;
    }

    private Path images() throws IOException {
        Path images = Files.createDirectory(folder.resolve("images"));
        for (int i = 0; i < COUNT; i++) {
            byte[] pixels = pixels(i);
            BufferedImage image = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_INT_RGB);
            for (int p = 0; p < SIDE * SIDE; p++) {
                int rgb = (pixels[3 * p] & 255) << 16 | (pixels[3 * p + 1] & 255) << 8 | (pixels[3 * p + 2] & 255);
                image.setRGB(p % SIDE, p / SIDE, rgb);
            }
            ImageIO.write(image, "png", images.resolve(i + ".png").toFile());
        }
        return images;
    }

    private static SampleSurvey survey(BoundSamples samples, InputSpec input, int batchSize, boolean decoded) {
        SampleSurvey survey = new SampleSurvey(List.of(input), List.of(Optional.of(RANGE)));
        SampleObserver observer = decoded ? (i, values, n) -> survey.see(i, values.tensor(), n) : survey;
        try (Batches batches = samples.observed(observer).batches(batchSize)) {
            while (batches.hasNext()) {
                batches.stored();
            }
        }
        return survey;
    }

    private static void compare(Samples samples, InputSpec input) {
        BoundSamples bound = samples.bind(List.of(input));
        InputSurvey expected = survey(bound, input, COUNT, true).inputs().get(0);
        SampleSurvey first = survey(bound, input, 1, false);
        InputSurvey found = first.inputs().get(0);
        assertThat(found.least()).isEqualTo(expected.least());
        assertThat(found.most()).isEqualTo(expected.most());
        assertThat(found.mean()).isCloseTo(expected.mean(), within(1e-12));
        assertThat(found.beyond()).isEqualTo(expected.beyond()).isBetween(0.1, 0.9);
        assertThat(found.constant()).isEqualTo(expected.constant());
        assertThat(found.firstConstant()).isEqualTo(expected.firstConstant());
        assertThat(first.distinct()).isEqualTo(COUNT - 1);
        for (int batchSize : new int[] {2, 4, COUNT}) {
            SampleSurvey other = survey(bound, input, batchSize, false);
            assertThat(other.hash()).isEqualTo(first.hash());
            assertThat(other.inputs()).isEqualTo(first.inputs());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void ofArrays(boolean channelsLast) throws IOException {
        try (Samples samples = Samples.open(array(channelsLast), NORMALIZATION)) {
            compare(samples, input(channelsLast));
        }
    }

    @ParameterizedTest
    @CsvSource({"false, RGB", "true, RGB", "false, BGR", "true, BGR"})
    void ofImages(boolean channelsLast, ImageOptions.Order order) throws IOException {
        ImageOptions options = ImageOptions.AS_THEY_ARE.withOrder(order);
        try (Samples samples = Samples.open(images(), NORMALIZATION, options)) {
            compare(samples, input(channelsLast));
        }
    }

    @Test
    void whatBytesStandForIsPartOfTheHash() throws IOException {
        List<String> hashes = new ArrayList<>();
        Path file = array(false);
        Normalization other = new Normalization(128, NORMALIZATION.mean(), NORMALIZATION.std());
        for (Normalization normalization : List.of(NORMALIZATION, other)) {
            try (Samples samples = Samples.open(file, normalization)) {
                hashes.add(survey(samples.bind(List.of(input(false))), input(false), 3, false)
                        .hash());
            }
        }
        for (ImageOptions.Order order : ImageOptions.Order.values()) {
            Path images = order == ImageOptions.Order.RGB ? images() : folder.resolve("images");
            try (Samples samples = Samples.open(images, NORMALIZATION, ImageOptions.AS_THEY_ARE.withOrder(order))) {
                hashes.add(survey(samples.bind(List.of(input(false))), input(false), 3, false)
                        .hash());
            }
        }
        assertThat(hashes).doesNotHaveDuplicates();
    }

    /** A sample smaller than a table of what its bytes stand for is not kept as bytes, in whatever batch it is. */
    @ParameterizedTest
    @ValueSource(ints = {1, 5, 16})
    void smallSamplesHaveOneHashInEveryBatch(int width) throws IOException {
        byte[] bytes = new byte[100 * width];
        new Random(width).nextBytes(bytes);
        Path file = folder.resolve("small.npy");
        Files.write(file, NpyWriter.npy("|u1", bytes, 100, width));
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, width});
        try (Samples samples = Samples.open(file, new Normalization(255, new float[] {0}, new float[] {1}))) {
            BoundSamples bound = samples.bind(List.of(input));
            List<String> hashes = Stream.of(1, 7, 64, 100)
                    .map(n -> survey(bound, input, n, false).hash())
                    .toList();
            assertThat(hashes).containsOnly(hashes.get(0));
        }
    }

    /** Gives samples until there is no more memory. */
    private static final class Filling implements SampleReader {
        private int given;

        @Override
        public HostValues stored(int n) {
            if (++given > 2) {
                throw new OutOfMemoryError("no more direct memory");
            }
            return HostTensor.of(new float[] {given}, 1, 1);
        }

        @Override
        public void skip(int n) {
            given += n;
        }

        @Override
        public void close() {
            // Nothing is open.
        }
    }

    @Test
    void samplesThatMemoryDoesNotHoldAreReadAgain() {
        BoundSamples samples = new BoundSamples(List.of(new BoundSamples.Filled(Filling::new, true)), List.of(5));
        assertThat(samples.kept(1 << 20)).isSameAs(samples);
    }
}
