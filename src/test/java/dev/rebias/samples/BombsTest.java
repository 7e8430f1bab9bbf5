package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Small files that claim to be large: refused from their headers, before memory is taken for what they claim. */
final class BombsTest {
    /** What may be allocated while a bomb is refused, garbage included; far below what any of them claims. */
    private static final long MOST_MEMORY = 64L << 20;

    @TempDir
    Path folder;

    private long before;

    @BeforeEach
    void measure() {
        before = allocated();
    }

    /** By this thread, so far: unlike what the heap holds it does not depend on when garbage is collected. */
    private static long allocated() {
        return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }

    private void assertRefused(InputSpec input, String... says) {
        measure();
        assertThatThrownBy(() -> readAll(folder, input))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(says);
        assertThat(allocated() - before).isLessThan(MOST_MEMORY);
    }

    private static void readAll(Path samples, InputSpec input) {
        try (Samples all = Samples.open(samples, Normalization.NONE);
                Batches batches = all.bind(List.of(input)).batches(4)) {
            while (batches.hasNext()) {
                batches.next();
            }
        }
    }

    private static InputSpec image(long channels, long height, long width) {
        return new InputSpec("x", ElementType.FLOAT, new long[] {-1, channels, height, width}, false);
    }

    /** A PNG of one bit per pixel, all black. */
    private static byte[] png(int width, int height, int rows) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
        chunk(
                out,
                "IHDR",
                ByteBuffer.allocate(13)
                        .putInt(width)
                        .putInt(height)
                        .put((byte) 1)
                        .put(new byte[4])
                        .array());
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        try (DeflaterOutputStream deflater = new DeflaterOutputStream(data)) {
            for (int row = 0; row < rows; row++) {
                deflater.write(new byte[1 + (width + 7) / 8]);
            }
        }
        chunk(out, "IDAT", data.toByteArray());
        chunk(out, "IEND", new byte[0]);
        return out.toByteArray();
    }

    private static void chunk(ByteArrayOutputStream out, String type, byte[] data) throws IOException {
        byte[] body = ByteBuffer.allocate(4 + data.length)
                .put(type.getBytes(StandardCharsets.US_ASCII))
                .put(data)
                .array();
        CRC32 crc = new CRC32();
        crc.update(body);
        out.write(ByteBuffer.allocate(4).putInt(data.length).array());
        out.write(body);
        out.write(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
    }

    private static byte[] bmp(int width, int height, int bits) {
        return ByteBuffer.allocate(62 + 4096)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) 'B')
                .put((byte) 'M')
                .putInt(62 + 4096)
                .putInt(0)
                .putInt(62)
                .putInt(40)
                .putInt(width)
                .putInt(height)
                .putShort((short) 1)
                .putShort((short) bits)
                .array();
    }

    private static byte[] gif(int width, int height) {
        return ByteBuffer.allocate(64)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put("GIF89a".getBytes(StandardCharsets.US_ASCII))
                .putShort((short) width)
                .putShort((short) height)
                .put(new byte[] {(byte) 0x80, 0, 0, 0, 0, 0, 1, 1, 1})
                .put((byte) 0x2c)
                .putInt(0)
                .putShort((short) width)
                .putShort((short) height)
                .put(new byte[] {0, 2, 2, 0x4c, 0x01, 0, 0x3b})
                .array();
    }

    private byte[] jpeg(int width, int height) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY), "jpg", out);
        byte[] bytes = out.toByteArray();
        for (int i = 0; i + 8 < bytes.length; i++) {
            if (bytes[i] == (byte) 0xff && bytes[i + 1] == (byte) 0xc0) {
                ByteBuffer.wrap(bytes).putShort(i + 5, (short) height).putShort(i + 7, (short) width);
            }
        }
        return bytes;
    }

    private void write(String name, int width, int height) throws IOException {
        byte[] bytes =
                switch (name) {
                    case "a.png" -> png(width, height, 20);
                    case "a.bmp" -> bmp(width, height, width < 1_000 ? 1 : 24);
                    case "a.gif" -> gif(width, height);
                    default -> jpeg(width, height);
                };
        Files.write(folder.resolve(name), bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"a.png", "a.bmp", "a.gif", "a.jpg"})
    void imagesThatClaimMoreThanTheirFileHoldsAreNotDecoded(String name) throws IOException {
        write(name, 30_000, 30_000);
        // The decoder of BMP holds sizes against the file itself.
        assertRefused(image(3, -1, -1), name, name.equals("a.bmp") ? "damaged" : "30000 x 30000");
        assertRefused(image(3, 30_000, 30_000), name, name.equals("a.bmp") ? "damaged" : "30000 x 30000");
    }

    @ParameterizedTest
    @ValueSource(strings = {"a.png", "a.bmp", "a.gif", "a.jpg"})
    void imagesOfAnotherSizeAreNotDecoded(String name) throws IOException {
        write(name, 200, 90);
        assertRefused(image(3, 32, 32), name, "200 x 90", "wanted are 32 x 32");
    }

    @Test
    void honestImagesOfEnormousSizeAreRefused() throws IOException {
        Files.write(folder.resolve("a.png"), png(30_000, 30_000, 30_000));
        assertRefused(image(1, -1, -1), "a.png", "30000 x 30000", "12000 x 9000");
    }

    @Test
    void imagesThatCompressWellAreRead() throws IOException {
        Files.write(folder.resolve("a.png"), png(4_000, 3_000, 3_000));
        readAll(folder, image(1, -1, -1));
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3", "7"})
    void ofAnArrayInFortranOrderOnlyTheFirstSamplesAreHeld(int limit) throws IOException {
        // 4,000 samples of 40,000 bytes: 160 MB, of which at most 7 x 40,000 are wanted.
        int n = 4_000;
        int pixels = 200 * 200;
        Path npz = folder.resolve("s.npz");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(npz))) {
            zip.setLevel(1);
            zip.putNextEntry(new ZipEntry("x.npy"));
            zip.write(NpyWriter.npy(1, "|u1", true, new int[] {n, 1, 200, 200}, new byte[0]));
            byte[] run = new byte[n];
            for (int p = 0; p < pixels; p++) {
                int column = p / 200; // Fortran order: rows vary faster than columns
                int row = p % 200;
                for (int i = 0; i < 8; i++) {
                    run[i] = (byte) (i * 31 + row * 3 + column * 7);
                }
                zip.write(run);
            }
        }
        measure();
        try (Samples all = Samples.open(npz, Normalization.NONE);
                Batches batches =
                        all.limit(limit).bind(List.of(image(1, 200, 200))).batches(2)) {
            int sample = 0;
            int wrong = 0;
            while (batches.hasNext()) {
                HostTensor batch = batches.next().get(0);
                for (int i = 0; i < batch.shape()[0]; i++, sample++) {
                    for (int p = 0; p < pixels; p++) {
                        int expected = sample * 31 + p / 200 * 3 + p % 200 * 7 & 255;
                        wrong += batch.floats().get(i * pixels + p) == expected ? 0 : 1;
                    }
                }
            }
            assertThat(sample).isEqualTo(limit);
            assertThat(wrong).isZero();
            assertThat(allocated() - before).isLessThan(MOST_MEMORY);
        }
    }

    @Test
    void anArrayInFortranOrderThatNothingCanHoldIsRefused() throws IOException {
        Path npy = folder.resolve("x.npy");
        byte[] header = NpyWriter.npy(1, "|u1", true, new int[] {3_000, 1, 1_000, 1_000}, new byte[0]);
        Files.write(npy, header);
        try (var file = java.nio.channels.FileChannel.open(npy, java.nio.file.StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(1), header.length + 3_000_000_000L - 1);
        }
        assertThatThrownBy(() -> readAll(npy, image(1, 1_000, 1_000)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("x.npy", "Fortran order", "3000000000 bytes", "ascontiguousarray", "`limit`");
        assertThat(allocated() - before).isLessThan(MOST_MEMORY);
    }

    @Test
    void samplesTooLargeForOneBufferAreRefused() throws IOException {
        Path npy = folder.resolve("x.npy");
        byte[] header = NpyWriter.npy(1, "|u1", false, new int[] {1, 1, 50_000, 50_000}, new byte[0]);
        Files.write(npy, header);
        try (var file = java.nio.channels.FileChannel.open(npy, java.nio.file.StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(1), header.length + 2_500_000_000L - 1);
        }
        assertThatThrownBy(() -> readAll(npy, image(1, -1, -1)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("x.npy", "a batch of 1 samples", "2 GiB");
    }

    @Test
    void archivesWhoseEntriesClaimMoreThanTheyHoldAreRefused() throws IOException {
        Path npz = folder.resolve("s.npz");
        NpyWriter.npz(npz, true, Map.of("x", NpyWriter.npy(1, "|u1", false, new int[] {1, 1, 4, 4}, new byte[16])));
        byte[] bytes = Files.readAllBytes(npz);
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i + 30 < bytes.length; i++) {
            if (file.getInt(i) == 0x02014b50) {
                file.putInt(i + 24, 2_000_000_000); // the central directory's uncompressed size
            }
        }
        Files.write(npz, bytes);
        assertThatThrownBy(() -> readAll(npz, image(1, 4, 4)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("s.npz", "x.npy", "claims to be 2000000000 bytes");
    }
}
