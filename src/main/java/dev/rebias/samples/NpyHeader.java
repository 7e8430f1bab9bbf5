package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The header of an .npy file: magic, version, and a Python dict (NumPy's format description, versions 1.0 to 3.0).
 *
 * @param type the element type
 * @param fortranOrder whether the first dimension varies fastest
 * @param shape the dimensions
 * @param bytes the header's own size
 */
record NpyHeader(ElementType type, boolean fortranOrder, long[] shape, long bytes) {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int LONGEST = 1 << 20;
    private static final Pattern DESCR = Pattern.compile("'descr'\\s*:\\s*'([^']*)'");
    private static final Pattern ORDER = Pattern.compile("'fortran_order'\\s*:\\s*(True|False)");
    private static final Pattern SHAPE = Pattern.compile("'shape'\\s*:\\s*\\(([0-9,\\sL]*)\\)");
    private static final Map<String, ElementType> TYPES = Map.ofEntries(
            Map.entry("|u1", ElementType.UINT8),
            Map.entry("|i1", ElementType.INT8),
            Map.entry("|b1", ElementType.BOOL),
            Map.entry("<u2", ElementType.UINT16),
            Map.entry("<i2", ElementType.INT16),
            Map.entry("<i4", ElementType.INT32),
            Map.entry("<i8", ElementType.INT64),
            Map.entry("<f2", ElementType.FLOAT16),
            Map.entry("<f4", ElementType.FLOAT),
            Map.entry("<f8", ElementType.DOUBLE));

    static boolean startsWithMagic(byte[] bytes) {
        return bytes.length >= MAGIC.length && Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length);
    }

    /**
     * Reads a header and leaves the stream at the first element.
     *
     * @param where the file and array, for messages
     */
    static NpyHeader read(InputStream in, String where) throws IOException {
        byte[] start = in.readNBytes(MAGIC.length + 2);
        if (start.length < MAGIC.length + 2 || !startsWithMagic(start)) {
            throw new UnsupportedException(
                    where + " is not a NumPy array (.npy): save it with numpy.save or numpy.savez");
        }
        int version = start[MAGIC.length];
        if (version < 1 || version > 3) {
            throw new UnsupportedException(where + " has .npy version " + version + "; rebias reads 1 to 3");
        }
        int lengthBytes = version == 1 ? 2 : 4;
        byte[] size = in.readNBytes(lengthBytes);
        long length = 0;
        for (int i = size.length - 1; i >= 0; i--) {
            length = length << 8 | Byte.toUnsignedLong(size[i]);
        }
        if (size.length < lengthBytes || length > LONGEST) {
            throw new UnsupportedException(where + " has a damaged .npy header: save it again");
        }
        byte[] text = in.readNBytes((int) length);
        if (text.length < length) {
            throw new UnsupportedException(where + " ends inside its .npy header: it is cut short");
        }
        return parse(new String(text, StandardCharsets.UTF_8), start.length + lengthBytes + length, where);
    }

    private static NpyHeader parse(String dict, long bytes, String where) {
        Matcher order = ORDER.matcher(dict);
        Matcher dimensions = SHAPE.matcher(dict);
        if (!order.find() || !dimensions.find()) {
            throw new UnsupportedException(where + " has a damaged .npy header: save it again");
        }
        Matcher descr = DESCR.matcher(dict);
        if (!descr.find()) {
            throw new UnsupportedException(where + " holds records, not numbers: save a plain array");
        }
        ElementType type = TYPES.get(descr.group(1));
        if (type == null) {
            String cure = descr.group(1).startsWith(">")
                    ? "save it in little endian order"
                    : "convert it to uint8 or float32";
            throw new UnsupportedException(
                    where + " has dtype '" + descr.group(1) + "', which rebias does not read: " + cure);
        }
        List<Long> shape = new ArrayList<>();
        for (String d : dimensions.group(1).replace("L", "").split(",", -1)) {
            if (!d.isBlank()) {
                shape.add(parseDimension(d.strip(), where));
            }
        }
        NpyHeader header = new NpyHeader(
                type,
                order.group(1).equals("True"),
                shape.stream().mapToLong(Long::longValue).toArray(),
                bytes);
        try {
            header.dataBytes();
            // One dimension of 0 hides that the others overflow.
            Shape.elements(header.shape, Math.min(1, header.shape.length), header.shape.length);
        } catch (ArithmeticException e) {
            throw new UnsupportedException(where + " claims the impossible shape " + Shape.text(header.shape), e);
        }
        return header;
    }

    private static long parseDimension(String text, String where) {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new UnsupportedException(where + " has the dimension '" + text + "' in its .npy header", e);
        }
    }

    /** The size of the elements behind the header. */
    long dataBytes() {
        return Math.multiplyExact(Shape.elements(shape), (long) type.bytes());
    }
}
