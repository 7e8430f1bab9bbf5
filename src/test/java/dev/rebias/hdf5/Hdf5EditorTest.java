package dev.rebias.hdf5;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.golden.KerasExample;
import io.jhdf.HdfFile;
import io.jhdf.api.Group;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Changes of HDF5 files, read back by the library that reads them in the program. */
final class Hdf5EditorTest {
    private static final String GROUP = "/model_weights/conv4/conv4";
    private static final String KERNEL = GROUP + "/kernel:0";
    private static final int END_OF_FILE = 40;
    private static final int BASE = 24;

    private static byte[] file() throws IOException {
        return Files.readAllBytes(KerasExample.W3A4.modelFile());
    }

    private static long address(byte[] bytes, String path) {
        try (HdfFile file = HdfFile.fromBytes(bytes)) {
            return file.getByPath(path).getAddress();
        }
    }

    private static byte[] withBias(byte[] bytes) {
        Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
        editor.addFloats(address(bytes, GROUP), "bias:0", address(bytes, KERNEL), new float[] {1, 2, 3});
        return editor.toBytes();
    }

    private static long number(byte[] bytes, int at) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(at);
    }

    private static void put(byte[] bytes, int at, long value) {
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(at, value);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 512, 4096})
    void theSuperblockTellsTheFilesEndCountedFromItsStart(int userBlock) throws IOException {
        byte[] plain = file();
        byte[] bytes = new byte[userBlock + plain.length];
        System.arraycopy(plain, 0, bytes, userBlock, plain.length);
        put(bytes, userBlock + BASE, userBlock);
        put(bytes, userBlock + END_OF_FILE, bytes.length);
        byte[] changed = withBias(bytes);
        assertThat(number(changed, userBlock + END_OF_FILE)).isEqualTo(changed.length);
        try (HdfFile file = HdfFile.fromBytes(changed)) {
            assertThat(file.getDatasetByPath(GROUP + "/bias:0").getData()).isEqualTo(new float[] {1, 2, 3});
        }
    }

    @Test
    void aGroupKeepsItsEntriesInOrderUntilItsLeafIsFull() throws IOException {
        byte[] bytes = file();
        Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
        long group = address(bytes, GROUP);
        long kernel = address(bytes, KERNEL);
        List<String> names = new ArrayList<>(List.of("kernel:0"));
        for (String name : List.of("z", "a", "m", "kernel", "kernel:00", "", "b".repeat(100))) {
            String entry = "x" + name;
            editor.addFloats(group, entry, kernel, new float[] {names.size()});
            names.add(entry);
        }
        try (HdfFile file = HdfFile.fromBytes(editor.toBytes())) {
            Group read = (Group) file.getByPath(GROUP);
            assertThat(read.getChildren().keySet())
                    .containsExactlyElementsOf(names.stream().sorted().toList());
            for (int i = 1; i < names.size(); i++) {
                assertThat(file.getDatasetByPath(GROUP + "/" + names.get(i)).getData())
                        .isEqualTo(new float[] {i});
            }
        }
        assertThatThrownBy(() -> editor.addFloats(group, "one more", kernel, new float[1]))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("8 entries");
    }

    @ParameterizedTest
    @EnumSource(
            value = KerasExample.class,
            names = {"W3A4", "W2A4_STD", "W4A4_KERAS3"})
    void textsMayGrowAndShrinkAgainAndAgain(KerasExample example) throws IOException {
        byte[] bytes = Files.readAllBytes(example.modelFile());
        String path = "/model_weights/conv1";
        for (int n : new int[] {2, 7, 1, 30, 3}) {
            Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
            List<String> names = new ArrayList<>();
            for (int i = 0; i < n; i++) {
                names.add("weight".repeat(1 + i % 5) + i);
            }
            assertThat(editor.setTexts(address(bytes, path), "weight_names", names))
                    .isTrue();
            assertThat(editor.setTexts(address(bytes, path), "no such attribute", names))
                    .isFalse();
            editor.setText(editor.root(), "backend", "x".repeat(n * n));
            editor.setText(editor.root(), "added " + n, "a note");
            bytes = editor.toBytes();
            try (HdfFile file = HdfFile.fromBytes(bytes)) {
                assertThat((String[]) file.getByPath(path)
                                .getAttribute("weight_names")
                                .getData())
                        .containsExactlyElementsOf(names);
                assertThat(file.getAttribute("backend").getData()).isEqualTo("x".repeat(n * n));
                assertThat(file.getAttribute("added " + n).getData()).isEqualTo("a note");
                assertThat(file.getAttribute("model_config").getData().toString())
                        .startsWith("{\"class_name\"");
            }
        }
    }

    @Test
    void anAttributeBeyondWhatHdf5AllowsIsRefused() throws IOException {
        byte[] bytes = Files.readAllBytes(KerasExample.W2A4_STD.modelFile());
        Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
        assertThatThrownBy(() -> editor.setText(editor.root(), "model_config", "x".repeat(70_000)))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("64 KB");
    }

    @Test
    void aListOfFreeSpaceWithoutEndIsDamage() throws IOException {
        byte[] bytes = file();
        // The group's header has one message, of its B-tree's address and its heap's.
        int heap = (int) number(bytes, (int) address(bytes, GROUP) + 32);
        assertThat(new String(bytes, heap, 4, StandardCharsets.ISO_8859_1)).isEqualTo("HEAP");
        long data = number(bytes, heap + 24);
        long size = number(bytes, heap + 8);
        // The last block of the heap's data says that it is the next one after itself, and too small for any name.
        put(bytes, heap + 16, size - 16);
        put(bytes, (int) (data + size - 16), size - 16);
        put(bytes, (int) (data + size - 8), 8);
        assertThatThrownBy(() -> {
                    Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
                    editor.addFloats(
                            address(bytes, GROUP), "a name of some length", address(bytes, KERNEL), new float[1]);
                })
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("no end");
    }

    @Test
    void valuesOfAnotherTypeThanFloatAreLeftAlone() throws IOException {
        byte[] bytes = file();
        long kernel = address(bytes, KERNEL);
        String header = new String(bytes, (int) kernel, 256, StandardCharsets.ISO_8859_1);
        // IEEE single precision, little endian: class 1, bit field 0x20 0x1f 0x00.
        int type = (int) kernel + header.indexOf("\u0011 \u001f\u0000");
        bytes[type + 1] |= 1;
        Hdf5Editor editor = new Hdf5Editor("a test's file", bytes);
        assertThatThrownBy(() -> editor.setFloats(kernel, new float[3 * 3 * 64 * 48]))
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("little-endian float32");
    }
}
