package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Float16;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Arrays of all kinds of numbers become floats; mean and std find their axis; floats become the integers of a quantised
 * input.
 */
class NumberTypesTest {
    @TempDir
    Path folder;

    private float[] read(byte[] npy, InputSpec input, Normalization normalization) throws IOException {
        Path file = Files.write(folder.resolve("x.npy"), npy);
        try (Samples samples = Samples.open(file, normalization);
                Batches batches = samples.bind(List.of(input)).batches(100)) {
            return batches.next().get(0).toFloats();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "|u1,1,200",
        "|i1,1,-100",
        "<u2,2,40000",
        "<i2,2,-30000",
        "<i4,4,-100000",
        "<i8,8,123456",
        "<f2,2,-0.75",
        "<f4,4,-0.1",
        "<f8,8,0.1"
    })
    void everyTypeOfNumberIsRead(String dtype, int bytes, double value) throws IOException {
        ByteBuffer raw = ByteBuffer.allocate(2 * bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (double v : new double[] {value, 1}) {
            switch (dtype) {
                case "<f2" -> raw.putShort(Float16.of(v));
                case "<f4" -> raw.putFloat((float) v);
                case "<f8" -> raw.putDouble(v);
                default -> {
                    for (int i = 0; i < bytes; i++) {
                        raw.put((byte) ((long) v >> (8 * i)));
                    }
                }
            }
        }
        float[] x = read(
                NpyWriter.npy(dtype, raw.array(), 2, 1),
                new InputSpec("x", ElementType.FLOAT, new long[] {-1, 1}),
                new Normalization(2, new float[] {1}, new float[] {4}));
        assertThat(x).containsExactly(((float) value / 2 - 1) / 4, (1f / 2 - 1) / 4);
    }

    @Test
    void float16KeepsEveryValueAndRoundsToTheNearestEven() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Float16.toFloat((short) bits);
            if (!Float.isNaN(value)) {
                assertThat(Float16.of(value)).isEqualTo((short) bits);
            }
        }
        assertThat(Float16.toFloat(Float16.of(1 + 0x1p-11))).isEqualTo(1);
        assertThat(Float16.toFloat(Float16.of(1 + 3 * 0x1p-11))).isEqualTo(1 + 2 * 0x1p-10f);
        assertThat(Float16.toFloat(Float16.of(0x1p-25))).isEqualTo(0);
        assertThat(Float16.toFloat(Float16.of(65519.9))).isEqualTo(65504);
        assertThat(Float16.toFloat(Float16.of(-65520))).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(Float16.toFloat(Float16.of(Double.NaN))).isNaN();
    }

    @ParameterizedTest
    @CsvSource({
        // what the model wants, where the three means belong
        "-1x-1x3,2",
        "-1x3x-1x-1,1",
        "-1x4x5x3,3",
        "-1x3x5x3,1",
        "-1x-1x-1x3,3",
        "-1x-1x-1x-1,3",
        "-1x2x3x4x4,2"
    })
    void meansBelongToTheAxisThatHasAsManyEntries(String wanted, int axis) throws IOException {
        String[] dims = wanted.split("x", -1);
        long[] declared = new long[dims.length];
        int[] shape = new int[dims.length];
        for (int i = 0; i < dims.length; i++) {
            declared[i] = Long.parseLong(dims[i]);
            shape[i] = declared[i] < 0 ? (i == axis ? 3 : 2) : (int) declared[i];
        }
        int n = 1;
        for (int d : shape) {
            n *= d;
        }
        float[] x = read(
                NpyWriter.npy("|u1", new byte[n], shape),
                new InputSpec("x", ElementType.FLOAT, declared),
                new Normalization(1, new float[] {1, 2, 3}, new float[] {1}));
        int inner = 1;
        for (int i = axis + 1; i < shape.length; i++) {
            inner *= shape[i];
        }
        for (int i = 0; i < n; i++) {
            assertThat(x[i]).isEqualTo(-1 - i / inner % 3);
        }
    }

    @Test
    void integersStandForTheNearestStepOfTheirRange() {
        HostTensor x = HostTensor.of(new float[] {0, 0.25f, 0.75f, -0.26f, 1000, -1000}, 6);
        assertThat(bytes(new Quantization(ElementType.UINT8, 0.5f, 10).of(x))).containsExactly(10, 10, 12, 9, 255, 0);
        assertThat(bytes(new Quantization(ElementType.INT8, 0.5f, -3).of(x)))
                .containsExactly(-3, -3, -1, -4, 127, -128);
    }

    private static int[] bytes(HostTensor t) {
        int[] out = new int[(int) t.elements()];
        for (int i = 0; i < out.length; i++) {
            out[i] = (int) t.number(i);
        }
        return out;
    }

    @Test
    void pixelsComeBackThroughTheScaleOfTheirRange() throws IOException {
        byte[] all = new byte[256];
        for (int i = 0; i < 256; i++) {
            all[i] = (byte) i;
        }
        Path file = Files.write(folder.resolve("p.npy"), NpyWriter.npy("|u1", all, 256, 1));
        InputSpec input = new InputSpec(
                "x",
                ElementType.FLOAT,
                new long[] {-1, 1},
                false,
                Optional.of(new Quantization(ElementType.UINT8, 1 / 255f, 0)));
        try (Samples samples = Samples.open(file, new Normalization(255, new float[] {0}, new float[] {1}));
                Batches batches = samples.bind(List.of(input)).batches(256)) {
            HostTensor q = batches.next().get(0);
            assertThat(q.type()).isEqualTo(ElementType.UINT8);
            for (int i = 0; i < 256; i++) {
                assertThat(q.number(i)).isEqualTo(i, within(0.0));
            }
        }
    }
}
