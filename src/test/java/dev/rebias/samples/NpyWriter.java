package dev.rebias.samples;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Writes NumPy's file formats after their published description; shares no code with the reader. */
public final class NpyWriter {
    private NpyWriter() {}

    /** A version 1 file in C order. */
    public static byte[] npy(String dtype, byte[] data, int... shape) {
        return npy(1, dtype, false, shape, data);
    }

    static byte[] npy(int version, String dtype, boolean fortran, int[] shape, byte[] data) {
        String sizes = Arrays.stream(shape).mapToObj(Integer::toString).collect(Collectors.joining(", "));
        String tuple = "(" + sizes + (shape.length == 1 ? ",)" : ")");
        return file(
                version,
                "{'descr': '" + dtype + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + tuple
                        + ", }",
                data);
    }

    /** A file with any text for its header; padded to 64 bytes, as NumPy does. */
    static byte[] file(int version, String dict, byte[] data) {
        int sizeBytes = version == 1 ? 2 : 4;
        int unpadded = 8 + sizeBytes + dict.length() + 1;
        int padding = (64 - unpadded % 64) % 64;
        String text = dict + " ".repeat(padding) + "\n";
        ByteBuffer bytes = ByteBuffer.allocate(unpadded + padding + data.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put("\u0093NUMPY".getBytes(StandardCharsets.ISO_8859_1));
        bytes.put((byte) version).put((byte) 0);
        if (sizeBytes == 2) {
            bytes.putShort((short) text.length());
        } else {
            bytes.putInt(text.length());
        }
        bytes.put(text.getBytes(StandardCharsets.US_ASCII)).put(data);
        return bytes.array();
    }

    /** Writes an archive with one entry per array. */
    static void npz(Path file, boolean deflated, Map<String, byte[]> arrays) throws IOException {
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
    }

    static byte[] floats(float... values) {
        ByteBuffer out = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (float v : values) {
            out.putFloat(v);
        }
        return out.array();
    }

    static byte[] doubles(double... values) {
        ByteBuffer out = ByteBuffer.allocate(values.length * Double.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (double v : values) {
            out.putDouble(v);
        }
        return out.array();
    }

    static byte[] longs(long... values) {
        ByteBuffer out = ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (long v : values) {
            out.putLong(v);
        }
        return out.array();
    }

    /** The same elements with the first dimension varying fastest. */
    static byte[] toFortranOrder(byte[] data, int size, int... shape) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int[] index = new int[shape.length];
        for (int k = 0; k < data.length / size; k++) {
            int at = 0;
            int rest = k;
            for (int d = 0; d < shape.length; d++) {
                index[d] = rest % shape[d];
                rest /= shape[d];
            }
            for (int d = 0; d < shape.length; d++) {
                at = at * shape[d] + index[d];
            }
            out.write(data, at * size, size);
        }
        return out.toByteArray();
    }
}
