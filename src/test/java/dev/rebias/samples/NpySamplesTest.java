package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Values read from .npy and .npz files against the values that an independent writer put there. */
class NpySamplesTest {
    private static final int[] SHAPE = {65, 3, 2, 5};
    private static final int PLANE = 10;
    private static final int SAMPLE = 30;
    private static final InputSpec INPUT = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, -1, 5});

    @TempDir
    Path folder;

    /** Whole numbers from 0 to 255, so that every type holds them exactly. */
    private final int[] values = new Random(11).ints(65 * SAMPLE, 0, 256).toArray();

    private byte[] encoded(String dtype) {
        byte[] bytes = new byte[values.length];
        float[] floats = new float[values.length];
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
            floats[i] = values[i];
            doubles[i] = values[i];
        }
        return switch (dtype) {
            case "|u1" -> bytes;
            case "<f4" -> NpyWriter.floats(floats);
            default -> NpyWriter.doubles(doubles);
        };
    }

    private float[] plain() {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = values[i];
        }
        return out;
    }

    private Path write(byte[] npy) throws IOException {
        return Files.write(folder.resolve("samples.npy"), npy);
    }

    private static float[] concatenated(BoundSamples samples, int batchSize) {
        float[] all = new float[0];
        int left = samples.count();
        try (Batches batches = samples.batches(batchSize)) {
            while (batches.hasNext()) {
                HostTensor batch = batches.next().get(0);
                int n = Math.min(batchSize, left);
                assertThat(batch.shape()[0]).isEqualTo(n);
                left -= n;
                float[] part = batch.toFloats();
                int from = all.length;
                all = Arrays.copyOf(all, from + part.length);
                System.arraycopy(part, 0, all, from, part.length);
            }
        }
        assertThat(left).isZero();
        return all;
    }

    private static float[] read(Path file, Normalization normalization) {
        try (Samples samples = Samples.open(file, normalization)) {
            return concatenated(samples.bind(List.of(INPUT)), 64);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1,|u1,false", "2,|u1,true", "3,|u1,false",
        "1,<f4,true", "2,<f4,false", "3,<f4,true",
        "1,<f8,false", "2,<f8,true", "3,<f8,false"
    })
    void everyHeaderVersionTypeAndOrderGivesTheSameValuesAloneAndInArchives(int version, String dtype, boolean fortran)
            throws IOException {
        byte[] data = encoded(dtype);
        byte[] stored = fortran ? NpyWriter.toFortranOrder(data, data.length / values.length, SHAPE) : data;
        byte[] npy = NpyWriter.npy(version, dtype, fortran, SHAPE, stored);
        assertThat(read(write(npy), Normalization.NONE)).containsExactly(plain());
        for (boolean deflated : new boolean[] {true, false}) {
            Path npz = folder.resolve("deflated-" + deflated + ".npz");
            NpyWriter.npz(npz, deflated, Map.of("x", npy));
            assertThat(read(npz, Normalization.NONE)).containsExactly(plain());
        }
    }

    @Test
    void valuesThatAreNotWholeKeepTheirBitsAndDoublesAreRoundedToFloat() throws IOException {
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 4});
        float[] floats = {0.1f, -0.0f, Float.MIN_VALUE, -Float.MAX_VALUE};
        double[] doubles = {0.1, -0.0, 1.0 / 3, 16_777_217};
        try (Samples samples =
                Samples.open(write(NpyWriter.npy("<f4", NpyWriter.floats(floats), 1, 4)), Normalization.NONE)) {
            assertThat(concatenated(samples.bind(List.of(input)), 1)).containsExactly(floats);
        }
        try (Samples samples =
                Samples.open(write(NpyWriter.npy("<f8", NpyWriter.doubles(doubles), 1, 4)), Normalization.NONE)) {
            assertThat(concatenated(samples.bind(List.of(input)), 1)).containsExactly(0.1f, -0.0f, 1 / 3f, 16_777_216);
        }
    }

    @ParameterizedTest
    @CsvSource({"false,3,3", "true,3,3", "false,1,3", "false,3,1", "true,1,1"})
    void normalisationIsPerChannelAndOneValueServesAllChannels(boolean fortran, int means, int stds)
            throws IOException {
        float[] mean = Arrays.copyOf(new float[] {0.485f, 0.456f, 0.406f}, means);
        float[] std = Arrays.copyOf(new float[] {0.229f, 0.224f, -0.225f}, stds);
        byte[] data = encoded("|u1");
        byte[] stored = fortran ? NpyWriter.toFortranOrder(data, 1, SHAPE) : data;
        Path file = write(NpyWriter.npy(1, "|u1", fortran, SHAPE, stored));
        float[] expected = new float[values.length];
        int at = 0;
        for (int n = 0; n < SHAPE[0]; n++) {
            for (int c = 0; c < 3; c++) {
                for (int p = 0; p < PLANE; p++, at++) {
                    float m = means == 1 ? mean[0] : mean[c];
                    float s = stds == 1 ? std[0] : std[c];
                    expected[at] = (values[at] / 255f - m) / s;
                }
            }
        }
        assertThat(read(file, new Normalization(255, mean, std))).containsExactly(expected);
    }

    @Test
    void arraysWithoutPixelsHaveTheirChannelsOnAxisOneAndPlainVectorsHaveOne() throws IOException {
        Normalization twoChannels = new Normalization(2, new float[] {1, 10}, new float[] {1, 5});
        byte[] data = {2, 20, 4, 40};
        InputSpec table = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2});
        try (Samples samples = Samples.open(write(NpyWriter.npy("|u1", data, 2, 2)), twoChannels)) {
            assertThat(concatenated(samples.bind(List.of(table)), 1)).containsExactly(0, 0, 1, 2);
        }
        Normalization one = new Normalization(2, new float[] {1}, new float[] {0.5f});
        InputSpec vector = new InputSpec("x", ElementType.FLOAT, new long[] {-1});
        try (Samples samples = Samples.open(write(NpyWriter.npy("|u1", data, 4)), one)) {
            assertThat(concatenated(samples.bind(List.of(vector)), 3)).containsExactly(0, 18, 2, 38);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 1000})
    void batchesOfAnySizeConcatenateToTheSameTensorAgainAndAgain(int batchSize) throws IOException {
        for (boolean fortran : new boolean[] {false, true}) {
            byte[] data = encoded("|u1");
            byte[] stored = fortran ? NpyWriter.toFortranOrder(data, 1, SHAPE) : data;
            Path npz = folder.resolve("fortran-" + fortran + ".npz");
            NpyWriter.npz(npz, true, Map.of("x", NpyWriter.npy(1, "|u1", fortran, SHAPE, stored)));
            try (Samples samples = Samples.open(npz, Normalization.NONE)) {
                BoundSamples bound = samples.bind(List.of(INPUT));
                assertThat(bound.count()).isEqualTo(65);
                assertThat(concatenated(bound, batchSize)).containsExactly(plain());
                assertThat(concatenated(bound, batchSize)).containsExactly(plain());
            }
        }
    }

    @Test
    void readersOfTheSameSamplesDoNotDisturbEachOther() throws IOException {
        Path npz = folder.resolve("s.npz");
        NpyWriter.npz(npz, true, Map.of("x", NpyWriter.npy("|u1", encoded("|u1"), SHAPE)));
        try (Samples samples = Samples.open(npz, Normalization.NONE)) {
            BoundSamples bound = samples.bind(List.of(INPUT));
            try (Batches ahead = bound.batches(40);
                    Batches behind = bound.batches(40)) {
                ahead.next();
                float[] second = ahead.next().get(0).toFloats();
                behind.next();
                assertThat(behind.next().get(0).toFloats())
                        .containsExactly(second)
                        .containsExactly(Arrays.copyOfRange(plain(), 40 * SAMPLE, 65 * SAMPLE));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1", "64,64", "65,65", "1000,65"})
    void aLimitKeepsTheFirstSamples(int limit, int kept) throws IOException {
        Path file = write(NpyWriter.npy("|u1", encoded("|u1"), SHAPE));
        try (Samples samples = Samples.open(file, Normalization.NONE)) {
            BoundSamples bound = samples.limit(limit).bind(List.of(INPUT));
            assertThat(bound.count()).isEqualTo(kept);
            assertThat(concatenated(bound, 7)).containsExactly(Arrays.copyOf(plain(), kept * SAMPLE));
            assertThat(samples.limit(limit).limit(1000).bind(List.of(INPUT)).count())
                    .isEqualTo(kept);
            assertThat(samples.bind(List.of(INPUT)).count()).isEqualTo(65);
        }
    }

    @Test
    void inputsAreFilledByNameWhateverTheOrderAndExtraArraysAreIgnored() throws IOException {
        Path npz = folder.resolve("s.npz");
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        arrays.put("labels", NpyWriter.npy("<i4", new byte[4], 1));
        arrays.put("b", NpyWriter.npy("|u1", new byte[] {1, 2, 3}, 3, 1));
        arrays.put("ids", NpyWriter.npy("<i8", NpyWriter.longs(Long.MIN_VALUE, -1, Long.MAX_VALUE), 3));
        arrays.put("a/0:x", NpyWriter.npy("<f4", NpyWriter.floats(4, 5, 6), 3, 1));
        NpyWriter.npz(npz, true, arrays);
        InputSpec a = new InputSpec("a/0:x", ElementType.FLOAT, new long[] {-1, 1});
        InputSpec b = new InputSpec("b", ElementType.FLOAT, new long[] {-1, 1});
        InputSpec ids = new InputSpec("ids", ElementType.INT64, new long[] {-1});
        Normalization halved = new Normalization(2, new float[] {0}, new float[] {1});
        try (Samples samples = Samples.open(npz, halved);
                Batches batches = samples.bind(List.of(a, ids, b)).batches(10)) {
            List<HostTensor> all = batches.next();
            assertThat(all.get(0).toFloats()).containsExactly(2, 2.5f, 3);
            long[] read = new long[3];
            all.get(1).longs().get(read);
            assertThat(read).containsExactly(Long.MIN_VALUE, -1, Long.MAX_VALUE);
            assertThat(all.get(2).toFloats()).containsExactly(0.5f, 1, 1.5f);
            assertThat(batches.hasNext()).isFalse();
        }
    }

    @Test
    void theOnlyArrayFillsTheOnlyInputWhateverItsName() throws IOException {
        byte[] npy = NpyWriter.npy("|u1", encoded("|u1"), SHAPE);
        Path npz = folder.resolve("s.npz");
        NpyWriter.npz(npz, false, Map.of("arr_0", npy));
        assertThat(read(npz, Normalization.NONE)).containsExactly(plain());
        assertThat(read(write(npy), Normalization.NONE)).containsExactly(plain());
    }

    @Test
    void filesAreToldApartByTheirContentNotTheirName() throws IOException {
        byte[] npy = NpyWriter.npy("|u1", encoded("|u1"), SHAPE);
        Path archive = folder.resolve("archive.npy");
        NpyWriter.npz(archive, false, Map.of("x", npy));
        Path array = Files.write(folder.resolve("array.npz"), npy);
        assertThat(read(archive, Normalization.NONE)).containsExactly(plain());
        assertThat(read(array, Normalization.NONE)).containsExactly(plain());
    }

    @Test
    void shapesAsOldVersionsOfPythonWroteThemAreRead() throws IOException {
        String dict = "{'descr': '|u1', 'fortran_order': False, 'shape': (65L, 3L, 2L, 5L), }";
        assertThat(read(write(NpyWriter.file(1, dict, encoded("|u1"))), Normalization.NONE))
                .containsExactly(plain());
    }

    @Test
    void anArrayReadWholeKeepsItsTypeShapeAndValues() throws IOException {
        Path npz = folder.resolve("s.npz");
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        byte[] turned = NpyWriter.toFortranOrder(NpyWriter.longs(1, 2, 3, 4, 5, 6), Long.BYTES, 2, 3);
        arrays.put("z", NpyWriter.npy(1, "<i8", true, new int[] {2, 3}, turned));
        arrays.put("a", NpyWriter.npy("<f4", NpyWriter.floats(7), new int[0]));
        NpyWriter.npz(npz, true, arrays);
        assertThat(Npz.names(npz)).containsExactly("z", "a");
        HostTensor z = Npz.read(npz, "z");
        long[] read = new long[6];
        z.longs().get(read);
        assertThat(z.shape()).containsExactly(2, 3);
        assertThat(read).containsExactly(1, 2, 3, 4, 5, 6);
        assertThat(Npz.read(npz, "a").shape()).isEmpty();
        assertThat(Npz.read(npz, "a").toFloats()).containsExactly(7);
    }

    /** Counts the bytes that a reader takes. */
    private static final class CountingStream extends FilterInputStream {
        private long taken;

        CountingStream(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int b = super.read();
            taken += b < 0 ? 0 : 1;
            return b;
        }

        @Override
        public int read(byte[] to, int offset, int length) throws IOException {
            int n = super.read(to, offset, length);
            taken += Math.max(n, 0);
            return n;
        }
    }

    @Test
    void aBatchTakesNoMoreOfAnArrayInCOrderThanItsOwnSamplesAndABuffer() {
        int samples = 100_000;
        int perSample = 3000;
        byte[] header = NpyWriter.npy("|u1", new byte[0], samples, 3, 1000);
        CountingStream[] opened = new CountingStream[1];
        StoredArray.Opener opener = () -> {
            InputStream endless = new InputStream() {
                @Override
                public int read() {
                    return 0;
                }
            };
            opened[0] = new CountingStream(new SequenceInputStream(new ByteArrayInputStream(header), endless));
            return opened[0];
        };
        StoredArray array = StoredArray.open("'big'", header.length + (long) samples * perSample, opener);
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 3, 1000});
        try (ArrayReader reader = new ArrayReader(array, input, array.shape(), Normalization.NONE)) {
            for (int batch = 1; batch <= 3; batch++) {
                assertThat(reader.next(100).elements()).isEqualTo(100L * perSample);
                long least = header.length + (long) batch * 100 * perSample;
                assertThat(opened[0].taken).isBetween(least, least + (1 << 16));
            }
        }
    }
}
