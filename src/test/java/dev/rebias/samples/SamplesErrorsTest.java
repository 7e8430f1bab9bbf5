package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.tensor.ElementType;
import java.io.IOException;
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

/** Samples that cannot be used are refused with the right kind of failure, and a message that says where and what. */
class SamplesErrorsTest {
    private static final InputSpec X = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2, -1});
    private static final InputSpec Y = new InputSpec("y", ElementType.FLOAT, new long[] {-1, 2, -1});

    @TempDir
    Path folder;

    private Path file(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("samples.npy"), bytes);
    }

    private Path archive(Map<String, byte[]> arrays) throws IOException {
        Path file = folder.resolve("samples.npz");
        NpyWriter.npz(file, true, arrays);
        return file;
    }

    private static byte[] zeros(int... shape) {
        int n = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        return NpyWriter.npy("|u1", new byte[n], shape);
    }

    /** Opens, binds and reads to the end. */
    private static void readAll(Path path, Normalization normalization, InputSpec... inputs) {
        try (Samples samples = Samples.open(path, normalization);
                Batches batches = samples.bind(List.of(inputs)).batches(2)) {
            while (batches.hasNext()) {
                batches.next();
            }
        }
    }

    private static void bind(Path path, Normalization normalization, InputSpec... inputs) {
        try (Samples samples = Samples.open(path, normalization)) {
            samples.bind(List.of(inputs));
        }
    }

    private static void open(Path path) {
        Samples.open(path, Normalization.NONE).close();
    }

    private static void assertNotOpened(Path path, String... parts) {
        assertThatThrownBy(() -> open(path))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining(path.toString())
                .hasMessageContainingAll(parts);
    }

    private static void assertNotBound(Path path, InputSpec input, String... parts) {
        assertThatThrownBy(() -> bind(path, Normalization.NONE, input))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining(path.toString())
                .hasMessageContainingAll(parts);
    }

    @Test
    void aMissingFileIsTheUsersMistake() {
        Path missing = folder.resolve("missing.npz");
        assertThatThrownBy(() -> open(missing))
                .isInstanceOf(UsageException.class)
                .hasMessageContainingAll(missing.toString(), "do not exist");
        assertThatThrownBy(() -> Npz.read(missing, "x"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining(missing.toString());
        assertThatThrownBy(() -> Npz.names(missing))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining(missing.toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "P", "text, nothing else"})
    void aFileThatIsNeitherArrayNorArchiveIsRefused(String content) throws IOException {
        assertNotOpened(Files.writeString(folder.resolve("s.npz"), content), "neither");
    }

    @Test
    void anArchiveCutShortIsRefused() throws IOException {
        Path npz = archive(Map.of("x", zeros(100, 2, 3)));
        byte[] bytes = Files.readAllBytes(npz);
        Files.write(npz, Arrays.copyOf(bytes, bytes.length - 30));
        assertNotOpened(npz, "damaged");
    }

    @Test
    void anEntryThatIsNoArrayIsRefusedByName() throws IOException {
        assertNotOpened(archive(Map.of("notes", new byte[100])), "array 'notes'", "not a NumPy array");
    }

    @Test
    void damagedDeflatedBytesAreRefusedByArray() throws IOException {
        byte[] data = new byte[60_000];
        new Random(1).nextBytes(data);
        for (int i = 0; i < data.length; i++) {
            data[i] &= 15;
        }
        Path npz = archive(Map.of("x", NpyWriter.npy("|u1", data, 10_000, 2, 3)));
        byte[] bytes = Files.readAllBytes(npz);
        Arrays.fill(bytes, bytes.length / 2, bytes.length / 2 + 500, (byte) 0xff);
        Files.write(npz, bytes);
        assertThatThrownBy(() -> readAll(npz, Normalization.NONE, X))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(npz.toString(), "array 'x'", "damaged");
    }

    @Test
    void anArrayWithFewerOrMoreElementsThanItsShapeIsRefusedWithBothSizes() throws IOException {
        assertNotOpened(file(NpyWriter.npy("<f4", new byte[44], 2, 2, 3)), "[2,2,3] FLOAT", "48 bytes", "44 bytes");
        assertNotOpened(file(NpyWriter.npy("<f4", new byte[52], 2, 2, 3)), "[2,2,3] FLOAT", "48 bytes", "52 bytes");
        Path npz = archive(Map.of("x", NpyWriter.npy("|u1", new byte[11], 2, 2, 3)));
        assertNotOpened(npz, "array 'x'", "[2,2,3] UINT8", "12 bytes", "11 bytes");
    }

    @Test
    void anArrayCutShortInsideItsHeaderIsRefused() throws IOException {
        byte[] whole = zeros(2, 2, 3);
        assertNotOpened(file(Arrays.copyOf(whole, 7)), "not a NumPy array");
        assertNotOpened(file(Arrays.copyOf(whole, 9)), "damaged");
        assertNotOpened(file(Arrays.copyOf(whole, 60)), "cut short");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4})
    void otherVersionsOfTheFormatAreRefusedByNumber(int version) throws IOException {
        byte[] bytes = zeros(2, 2, 3);
        bytes[6] = (byte) version;
        assertNotOpened(file(bytes), "version " + version);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '"',
            value = {
                ">f4; little endian",
                "<c8; convert",
                "|O; convert",
                "<U5; convert",
            })
    void otherTypesAreRefusedByNameWithACure(String dtype, String cure) throws IOException {
        assertNotOpened(file(NpyWriter.npy(dtype, new byte[8], 1)), "'" + dtype + "'", cure);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '"',
            value = {
                "{'descr': '|u1', 'fortran_order': False, };                              damaged",
                "{'descr': '|u1', 'shape': (1, 2), };                                     damaged",
                "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2), };            damaged",
                "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2,), };      records",
                "{'descr': '|u1', 'fortran_order': False, 'shape': (1 1, 2), };           dimension '1 1'",
                "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }; 99999999999999999999",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }; "
                        + "[4294967296,4294967296]",
            })
    void headersThatMakeNoSenseAreRefused(String dict, String part) throws IOException {
        assertNotOpened(file(NpyWriter.file(1, dict, new byte[2])), part);
    }

    @Test
    void anInputWithoutAnArrayIsRefusedWithTheNamesOfBoth() throws IOException {
        Path npz = archive(Map.of("x", zeros(3, 2, 1), "z", zeros(3, 2, 1)));
        assertThatThrownBy(() -> bind(npz, Normalization.NONE, X, Y))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(npz.toString(), "[x, y]", "'y' is missing", "z");
        assertNotBound(npz, Y, "'y' is missing");
        assertThatThrownBy(() -> bind(file(zeros(3, 2, 1)), Normalization.NONE, X, Y))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll("samples.npy", "one array", "[x, y]");
    }

    @Test
    void anArrayOfAnotherRankOrSizeIsRefusedWithBothShapes() throws IOException {
        assertNotBound(file(zeros(3, 2)), X, "[3,2]", "'x'", "[N,2,?]");
        assertNotBound(file(zeros(3, 4, 5)), X, "[3,4,5]", "'x'", "[N,2,?]");
        assertNotBound(file(zeros()), X, "[]", "'x'", "[N,2,?]");
        assertNotBound(file(zeros()), new InputSpec("s", ElementType.FLOAT, new long[0]), "[]", "'s'");
    }

    @Test
    void samplesThatAreEmptyAndArraysWithoutSamplesAreRefused() throws IOException {
        assertNotBound(file(zeros(3, 2, 0)), X, "[3,2,0]", "empty");
        assertNotBound(file(zeros(0, 2, 3)), X, "no samples");
    }

    @ParameterizedTest
    @CsvSource({"|b1,BOOL,FLOAT", "<i4,INT32,INT64", "<f4,FLOAT,INT64", "|u1,UINT8,INT32", "<f4,FLOAT,UINT8"})
    void anotherElementTypeIsRefusedWithBothTypes(String dtype, ElementType held, ElementType wanted)
            throws IOException {
        Path npz = archive(Map.of("x", NpyWriter.npy(dtype, new byte[2 * held.bytes()], 1, 2)));
        InputSpec input = new InputSpec("x", wanted, new long[] {-1, 2});
        assertNotBound(npz, input, "array 'x'", held + ",", wanted.toString());
    }

    @Test
    void differentNumbersOfSamplesAreRefusedEvenIfALimitWouldHideThem() throws IOException {
        Map<String, byte[]> arrays = new LinkedHashMap<>();
        arrays.put("x", zeros(3, 2, 1));
        arrays.put("y", zeros(4, 2, 1));
        Path npz = archive(arrays);
        try (Samples samples = Samples.open(npz, Normalization.NONE)) {
            assertThatThrownBy(() -> samples.limit(2).bind(List.of(X, Y)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll(npz.toString(), "array 'y'", "has 4", "array 'x'", "has 3");
        }
    }

    @Test
    void anotherNumberOfMeansOrStdsThanChannelsIsRefusedAtBinding() throws IOException {
        float[] one = {1};
        Path array = file(zeros(5, 2, 3));
        for (Normalization n :
                List.of(new Normalization(1, new float[3], one), new Normalization(1, one, new float[] {1, 2, 3}))) {
            assertThatThrownBy(() -> bind(array, n, X))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll(array.toString(), "mean and std", "[5,2,3]");
        }
        Path vector = file(zeros(5));
        assertThatThrownBy(() -> bind(
                        vector,
                        new Normalization(1, new float[2], one),
                        new InputSpec("v", ElementType.FLOAT, new long[] {-1})))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("[5]");
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void aValueThatIsNotFiniteIsRefusedWithTheIndexOfItsSample(float bad) throws IOException {
        float[] values = new float[30];
        values[4 * 6 + 5] = bad;
        Path floats = file(NpyWriter.npy("<f4", NpyWriter.floats(values), 5, 2, 3));
        assertThatThrownBy(() -> readAll(floats, Normalization.NONE, X))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(floats.toString(), "holds " + bad, "sample 4");
        double[] wide = new double[30];
        wide[3 * 6] = bad;
        Path npz = archive(Map.of("x", NpyWriter.npy("<f8", NpyWriter.doubles(wide), 5, 2, 3)));
        assertThatThrownBy(() -> readAll(npz, Normalization.NONE, X))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(npz.toString(), "array 'x'", "holds " + bad, "sample 3");
    }

    @Test
    void aValueBeyondALimitIsNeverLookedAt() throws IOException {
        Path file = file(NpyWriter.npy("<f4", NpyWriter.floats(1, 2, Float.NaN, 4), 2, 2, 1));
        try (Samples samples = Samples.open(file, Normalization.NONE);
                Batches batches = samples.limit(1).bind(List.of(X)).batches(10)) {
            assertThat(batches.next().get(0).toFloats()).containsExactly(1, 2);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aFileThatShrinksAfterBindingIsRefusedWhenItIsRead(boolean fortran) throws IOException {
        byte[] whole = NpyWriter.npy(1, "|u1", fortran, new int[] {5, 2, 3}, new byte[30]);
        Path file = file(whole);
        try (Samples samples = Samples.open(file, Normalization.NONE)) {
            BoundSamples bound = samples.bind(List.of(X));
            Files.write(file, Arrays.copyOf(whole, whole.length - 1));
            assertThatThrownBy(() -> {
                        try (Batches batches = bound.batches(5)) {
                            batches.next();
                        }
                    })
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContainingAll(file.toString(), "ends early");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1})
    void batchSizesAndLimitsBelowOneAreTheUsersMistake(int n) throws IOException {
        try (Samples samples = Samples.open(file(zeros(3, 2, 1)), Normalization.NONE)) {
            BoundSamples bound = samples.bind(List.of(X));
            assertThatThrownBy(() -> bound.batches(n))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("batch size " + n);
            assertThatThrownBy(() -> samples.limit(n))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("limit of " + n);
        }
    }

    private static void assertImpossible(float scale, float[] mean, float[] std, String part) {
        assertThatThrownBy(() -> new Normalization(scale, mean, std))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining(part);
    }

    @Test
    void impossibleNormalisationsAreTheUsersMistake() {
        float[] one = {1};
        assertImpossible(0, one, one, "scale 0.0");
        assertImpossible(Float.NaN, one, one, "scale NaN");
        assertImpossible(1, new float[] {0, Float.POSITIVE_INFINITY}, one, "mean Infinity");
        assertImpossible(1, one, new float[] {1, 0}, "std 0.0");
        assertImpossible(1, one, new float[] {Float.NaN}, "std NaN");
        assertImpossible(1, new float[0], one, "at least one value");
        assertImpossible(1, one, new float[0], "at least one value");
    }

    @Test
    void anArrayThatAnArchiveDoesNotHoldIsRefusedWithTheNamesItHolds() throws IOException {
        Path npz = archive(Map.of("x", zeros(1)));
        assertThatThrownBy(() -> Npz.read(npz, "y"))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContainingAll(npz.toString(), "[x]", "'y'");
    }
}
