package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SamplesTest {
    private static final int N = 11;
    private static final int C = 3;
    private static final int H = 4;
    private static final int W = 5;
    private static final InputSpec INPUT = new InputSpec("x", ElementType.FLOAT, new long[] {-1, C, H, W});

    @TempDir
    Path folder;

    private final byte[] pixels = new byte[N * C * H * W];

    SamplesTest() {
        new Random(3).nextBytes(pixels);
    }

    private static byte[] npy(int version, String dtype, boolean fortran, String shape, byte[] data) {
        String dict = "{'descr': '" + dtype + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': "
                + shape + ", }\n";
        ByteBuffer bytes = ByteBuffer.allocate(16 + dict.length() + data.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) version)
                .put((byte) 0);
        if (version == 1) {
            bytes.putShort((short) dict.length());
        } else {
            bytes.putInt(dict.length());
        }
        bytes.put(dict.getBytes(StandardCharsets.US_ASCII)).put(data);
        byte[] out = new byte[bytes.position()];
        bytes.flip().get(out);
        return out;
    }

    private Path npz(boolean deflated, Map<String, byte[]> arrays) throws IOException {
        Path file = folder.resolve("s.npz");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            for (Map.Entry<String, byte[]> array : arrays.entrySet()) {
                ZipEntry entry = new ZipEntry(array.getKey() + ".npy");
                if (!deflated) {
                    CRC32 crc = new CRC32();
                    crc.update(array.getValue());
                    entry.setMethod(ZipEntry.STORED);
                    entry.setSize(array.getValue().length);
                    entry.setCrc(crc.getValue());
                }
                zip.putNextEntry(entry);
                zip.write(array.getValue());
            }
        }
        return file;
    }

    private static List<Float> read(Path file, Normalization normalization, int batchSize) {
        List<Float> values = new ArrayList<>();
        try (Samples samples = Samples.open(file, normalization);
                Batches batches = samples.bind(List.of(INPUT)).batches(batchSize)) {
            int left = N;
            while (batches.hasNext()) {
                HostTensor batch = batches.next().get(0);
                assertThat(batch.shape()).containsExactly(Math.min(batchSize, left), C, H, W);
                left -= (int) batch.shape()[0];
                for (float v : batch.toFloats()) {
                    values.add(v);
                }
            }
        }
        return values;
    }

    private List<Float> expected(float scale, float[] mean, float[] std) {
        List<Float> values = new ArrayList<>();
        for (int i = 0; i < pixels.length; i++) {
            int c = i / (H * W) % C;
            values.add((Byte.toUnsignedInt(pixels[i]) / scale - mean[c]) / std[c]);
        }
        return values;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 1000})
    void batchesOfAnySizeGiveTheNormalisedArrayInOrder(int batchSize) throws IOException {
        float[] mean = {0.1f, 0.2f, 0.3f};
        float[] std = {0.5f, 2, 4};
        for (boolean deflated : List.of(true, false)) {
            Path file = npz(
                    deflated,
                    Map.of(
                            "x",
                            npy(1, "|u1", false, "(11, 3, 4, 5)", pixels),
                            "labels",
                            npy(1, "<i8", false, "(11,)", new byte[88])));
            assertThat(read(file, new Normalization(255, mean, std), batchSize)).isEqualTo(expected(255, mean, std));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void anUnnamedArrayFillsTheOnlyInputWhateverItsHeaderVersion(int version) throws IOException {
        Path file = folder.resolve("s.bin");
        Files.write(file, npy(version, "|u1", false, "(11, 3, 4, 5)", pixels));
        assertThat(read(file, Normalization.NONE, 4)).isEqualTo(expected(1, new float[3], new float[] {1, 1, 1}));
    }

    @Test
    void fortranOrderIsTheSameArray() throws IOException {
        byte[] turned = new byte[pixels.length];
        for (int i = 0; i < pixels.length; i++) {
            int w = i % W;
            int h = i / W % H;
            int c = i / W / H % C;
            int n = i / W / H / C;
            turned[n + N * (c + C * (h + H * w))] = pixels[i];
        }
        Path file = folder.resolve("s.npy");
        Files.write(file, npy(1, "|u1", true, "(11, 3, 4, 5)", turned));
        assertThat(read(file, Normalization.NONE, 4)).isEqualTo(expected(1, new float[3], new float[] {1, 1, 1}));
    }

    @ParameterizedTest
    @ValueSource(strings = {"<f4", "<f8"})
    void floatsOfBothWidthsAreRead(String dtype) throws IOException {
        int size = dtype.equals("<f4") ? 4 : 8;
        ByteBuffer data = ByteBuffer.allocate(pixels.length * size).order(ByteOrder.LITTLE_ENDIAN);
        for (byte p : pixels) {
            double v = Byte.toUnsignedInt(p);
            data = size == 4 ? data.putFloat((float) v) : data.putDouble(v);
        }
        Path file = folder.resolve("s.npy");
        Files.write(file, npy(1, dtype, false, "(11, 3, 4, 5)", data.array()));
        assertThat(read(file, Normalization.NONE, 4)).isEqualTo(expected(1, new float[3], new float[] {1, 1, 1}));
    }

    @Test
    void severalInputsAreFilledByNameAndIntegersPassThrough() throws IOException {
        ByteBuffer ids = ByteBuffer.allocate(N * 2 * 8).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 2 * N; i++) {
            ids.putLong(100 + i);
        }
        Path file = npz(
                true,
                Map.of(
                        "x",
                        npy(1, "|u1", false, "(11, 3, 4, 5)", pixels),
                        "ids",
                        npy(1, "<i8", false, "(11, 2)", ids.array())));
        InputSpec idInput = new InputSpec("ids", ElementType.INT64, new long[] {-1, 2});
        try (Samples samples = Samples.open(file, new Normalization(255, new float[] {0}, new float[] {1}));
                Batches batches = samples.limit(5).bind(List.of(idInput, INPUT)).batches(3)) {
            batches.next();
            List<HostTensor> last = batches.next();
            assertThat(batches.hasNext()).isFalse();
            assertThat(last.get(0).longs().get(3)).isEqualTo(109);
            assertThat(last.get(1).shape()).containsExactly(2, C, H, W);
            assertThat(last.get(1).floats().get(0)).isEqualTo(Byte.toUnsignedInt(pixels[3 * C * H * W]) / 255f);
        }
    }

    @Test
    void imagesAreReadInTheOrderOfTheirNamesAsRedGreenBluePlanes() throws IOException {
        for (int n = 0; n < 3; n++) {
            BufferedImage image = new BufferedImage(W, H, BufferedImage.TYPE_INT_RGB);
            for (int y = 0; y < H; y++) {
                for (int x = 0; x < W; x++) {
                    image.setRGB(x, y, (10 * n) << 16 | (y + 1) << 8 | (x + 100));
                }
            }
            ImageIO.write(image, "png", folder.resolve("img" + n + ".png").toFile());
        }
        Files.writeString(folder.resolve("readme.txt"), "not an image");
        try (Samples samples = Samples.open(folder, Normalization.NONE);
                Batches batches = samples.bind(List.of(INPUT)).batches(10)) {
            HostTensor all = batches.next().get(0);
            assertThat(all.shape()).containsExactly(3, C, H, W);
            for (int i = 0; i < all.elements(); i++) {
                int x = i % W;
                int y = i / W % H;
                int c = i / W / H % C;
                int n = i / W / H / C;
                assertThat(all.floats().get(i)).isEqualTo(c == 0 ? 10 * n : c == 1 ? y + 1 : x + 100);
            }
        }
    }

    @Test
    void greyImagesKeepTheirValues() throws IOException {
        BufferedImage image = new BufferedImage(W, H, BufferedImage.TYPE_BYTE_GRAY);
        for (int i = 0; i < W * H; i++) {
            image.getRaster().setSample(i % W, i / W, 0, 12 * i);
        }
        ImageIO.write(image, "png", folder.resolve("grey.png").toFile());
        InputSpec grey = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 1, -1, -1});
        try (Samples samples = Samples.open(folder, Normalization.NONE);
                Batches batches = samples.bind(List.of(grey)).batches(1)) {
            HostTensor values = batches.next().get(0);
            for (int i = 0; i < W * H; i++) {
                assertThat(values.floats().get(i)).isEqualTo(12 * i);
            }
        }
    }

    @Test
    void sixteenBitGreyImagesAreReadAsTheirUpperEightBits() throws IOException {
        BufferedImage image = new BufferedImage(W, H, BufferedImage.TYPE_USHORT_GRAY);
        for (int i = 0; i < W * H; i++) {
            image.getRaster().setSample(i % W, i / W, 0, ((12 * i) << 8) | 0x33);
        }
        ImageIO.write(image, "png", folder.resolve("deep.png").toFile());
        InputSpec grey = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 1, -1, -1});
        try (Samples samples = Samples.open(folder, Normalization.NONE);
                Batches batches = samples.bind(List.of(grey)).batches(1)) {
            HostTensor values = batches.next().get(0);
            for (int i = 0; i < W * H; i++) {
                assertThat(values.floats().get(i)).isEqualTo(12 * i);
            }
        }
    }

    @Test
    void inputsWithDifferentNumbersOfSamplesAreRefused() {
        InputSpec a = new InputSpec("a", ElementType.FLOAT, new long[] {-1, 2});
        InputSpec b = new InputSpec("b", ElementType.FLOAT, new long[] {-1, 2});
        try (Samples samples = Samples.of(Map.of(
                "a", HostTensor.zeros(ElementType.FLOAT, 3, 2), "b", HostTensor.zeros(ElementType.FLOAT, 4, 2)))) {
            assertThatThrownBy(() -> samples.bind(List.of(a, b)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("4 samples")
                    .hasMessageContaining("has 3");
        }
    }
}
