package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Samples of models whose channels are last, in shapes that differ in axes of length 1, and in several arrays. */
final class ChannelsLastTest {
    private static final Normalization PER_CHANNEL =
            new Normalization(2, new float[] {1, 2, 3}, new float[] {1, 10, 100});

    @TempDir
    Path folder;

    private static byte[] counting(int n) {
        byte[] bytes = new byte[n];
        for (int i = 0; i < n; i++) {
            bytes[i] = (byte) i;
        }
        return bytes;
    }

    private Path npz(Map<String, byte[]> arrays) throws IOException {
        Path file = folder.resolve("s.npz");
        NpyWriter.npz(file, true, arrays);
        return file;
    }

    private static HostTensor first(Samples samples, InputSpec input, int batchSize) {
        try (Batches batches = samples.bind(List.of(input)).batches(batchSize)) {
            return batches.next().get(0);
        }
    }

    @Test
    void meanAndStdBelongToTheLastAxis() throws IOException {
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2, 2, 3}, true);
        try (Samples samples =
                Samples.open(npz(Map.of("x", NpyWriter.npy("|u1", counting(24), 2, 2, 2, 3))), PER_CHANNEL)) {
            float[] values = first(samples, input, 2).toFloats();
            for (int i = 0; i < 24; i++) {
                int c = i % 3;
                assertThat(values[i]).isEqualTo((i / 2f - (c + 1)) / (float) Math.pow(10, c));
            }
        }
    }

    @Test
    void anImageFilesPixelsLieChannelAfterChannel() throws IOException {
        BufferedImage image = new BufferedImage(3, 2, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 6; i++) {
            image.setRGB(i % 3, i / 3, (10 + i) << 16 | (50 + i) << 8 | (90 + i));
        }
        ImageIO.write(image, "png", folder.resolve("a.png").toFile());
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, -1, -1, 3}, true);
        try (Samples samples = Samples.open(folder, Normalization.NONE)) {
            HostTensor batch = first(samples, input, 1);
            assertThat(batch.shape()).containsExactly(1, 2, 3, 3);
            float[] values = batch.toFloats();
            for (int i = 0; i < 6; i++) {
                assertThat(values[3 * i]).isEqualTo(10 + i);
                assertThat(values[3 * i + 1]).isEqualTo(50 + i);
                assertThat(values[3 * i + 2]).isEqualTo(90 + i);
            }
        }
    }

    @Test
    void anImageOfTwoChannelsIsNone() throws IOException {
        ImageIO.write(
                new BufferedImage(3, 2, BufferedImage.TYPE_INT_RGB),
                "png",
                folder.resolve("a.png").toFile());
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2, 3, 2}, true);
        try (Samples samples = Samples.open(folder, Normalization.NONE)) {
            assertThatThrownBy(() -> samples.bind(List.of(input)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("[N,height,width,1 or 3]");
        }
    }

    @Test
    void axesOfLengthOneMayDiffer() throws IOException {
        InputSpec grey = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 4, 5, 1}, true);
        for (int[] shape : new int[][] {{3, 4, 5}, {3, 1, 4, 5}, {3, 4, 5, 1}, {3, 4, 1, 5}}) {
            Path file = npz(Map.of("x", NpyWriter.npy("|u1", counting(60), shape)));
            try (Samples samples = Samples.open(file, Normalization.NONE)) {
                HostTensor batch = first(samples, grey, 2);
                assertThat(batch.shape()).containsExactly(2, 4, 5, 1);
                assertThat(batch.toFloats()[39]).isEqualTo(39);
            }
        }
        Path turned = npz(Map.of("x", NpyWriter.npy("|u1", counting(60), 3, 5, 4)));
        try (Samples samples = Samples.open(turned, Normalization.NONE)) {
            assertThatThrownBy(() -> samples.bind(List.of(grey))).isInstanceOf(UnsupportedException.class);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 100})
    void joinedArraysAreReadOneAfterTheOther(int batchSize) throws IOException {
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        byte[] all = counting(18);
        int from = 0;
        for (int n : new int[] {4, 1, 4}) {
            byte[] part = Arrays.copyOfRange(all, 2 * from, 2 * (from + n));
            arrays.put("z" + (9 - from), NpyWriter.npy("|u1", part, n, 2));
            from += n;
        }
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2});
        try (Samples samples = Samples.open(npz(arrays), Normalization.NONE).joined();
                Batches batches = samples.bind(List.of(input)).batches(batchSize)) {
            int next = 0;
            while (batches.hasNext()) {
                HostTensor batch = batches.next().get(0);
                assertThat(batch.shape()[0]).isLessThanOrEqualTo(batchSize);
                for (float v : batch.toFloats()) {
                    assertThat(v).isEqualTo(next++);
                }
            }
            assertThat(next).isEqualTo(18);
            assertThat(samples.limit(5).bind(List.of(input)).count()).isEqualTo(5);
        }
    }

    @Test
    void anArrayCanBeLeftOut() throws IOException {
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        arrays.put("images", NpyWriter.npy("|u1", counting(8), 4, 2));
        arrays.put("labels", NpyWriter.npy("|u1", counting(4), 4));
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2});
        Path file = npz(arrays);
        assertThat(Files.size(file)).isPositive();
        try (Samples samples = Samples.open(file, Normalization.NONE)) {
            assertThatThrownBy(() -> samples.bind(List.of(input))).hasMessageContaining("'x' is missing");
            assertThat(samples.without("labels").bind(List.of(input)).count()).isEqualTo(4);
        }
    }
}
