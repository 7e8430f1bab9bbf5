package dev.rebias.hdf5;

import dev.rebias.error.UnsupportedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Changes an HDF5 file held in memory. Objects are named by the addresses of their object headers. Throws
 * {@link UnsupportedException} where the file is damaged, or in HDF5's newer format (see the package).
 */
public final class Hdf5Editor {
    private static final int CONTIGUOUS = 1;

    private final Image image;

    /**
     * Takes a copy of a file.
     *
     * @param where what messages call it, quotes included
     */
    public Hdf5Editor(String where, byte[] file) {
        this.image = new Image(where, file);
    }

    /** The address of the root group. */
    public long root() {
        return image.root();
    }

    /** The file as it is now. */
    public byte[] toBytes() {
        return image.toBytes();
    }

    /** Sets a text attribute; adds it where there is none. */
    public void setText(long object, String name, String value) {
        if (!setTexts(object, name, List.of(value))) {
            new ObjectHeader(image, object)
                    .add(ObjectHeader.ATTRIBUTE, AttributeMessage.text(name).withTexts(image, List.of(value)));
        }
    }

    /**
     * Sets an attribute that is a list of texts.
     *
     * @return whether there is such an attribute
     */
    public boolean setTexts(long object, String name, List<String> values) {
        ObjectHeader header = new ObjectHeader(image, object);
        for (ObjectHeader.Message message : header.messages()) {
            if (message.type() == ObjectHeader.ATTRIBUTE && AttributeMessage.isNamed(image, message, name)) {
                header.replace(message, AttributeMessage.read(image, message).withTexts(image, values));
                return true;
            }
        }
        return false;
    }

    /** Sets all values of a dataset of float32. */
    public void setFloats(long dataset, float[] values) {
        ObjectHeader header = new ObjectHeader(image, dataset);
        checkFloats(header);
        byte[] data = bytes(values);
        ObjectHeader.Message layout = header.require(ObjectHeader.DATA_LAYOUT, "data layout");
        int version = image.u8(layout.data());
        boolean contiguous = version >= 3 && image.u8(layout.data() + 1) == CONTIGUOUS;
        if (contiguous
                && image.i64(layout.data() + 2) != Image.UNDEFINED
                && image.i64(layout.data() + 10) == data.length) {
            image.put(image.i64(layout.data() + 2), data);
            return;
        }
        // In chunks, compact, or never written: from now on in one piece.
        header.replace(layout, layout(image.append(data), data.length));
        header.find(ObjectHeader.FILTERS).ifPresent(header::remove);
    }

    /**
     * Adds a dataset of float32, shape [n].
     *
     * @param like a dataset of float32 whose type and fill value the new one takes
     */
    public void addFloats(long group, String name, long like, float[] values) {
        ObjectHeader model = new ObjectHeader(image, like);
        checkFloats(model);
        byte[] data = bytes(values);
        long at = image.append(data);
        List<ObjectHeader.Message> messages = new ArrayList<>();
        List<byte[]> contents = new ArrayList<>();
        messages.add(model.require(ObjectHeader.DATASPACE, "dataspace"));
        // Section IV.A.2.b: version 1, one dimension, with its largest size.
        contents.add(new Packed()
                .u8(1)
                .u8(1)
                .u8(1)
                .zeros(5)
                .i64(values.length)
                .i64(values.length)
                .toBytes());
        for (int type : new int[] {ObjectHeader.DATATYPE, ObjectHeader.OLD_FILL_VALUE, ObjectHeader.FILL_VALUE}) {
            Optional<ObjectHeader.Message> copied = model.find(type);
            copied.ifPresent(m -> {
                messages.add(m);
                contents.add(image.get(m.data(), m.size()));
            });
        }
        messages.add(model.require(ObjectHeader.DATA_LAYOUT, "data layout"));
        contents.add(layout(at, data.length));
        new SymbolTable(image, group).add(name, ObjectHeader.append(image, messages, contents));
    }

    /** A data layout message, version 3 (section IV.A.2.i): in one piece. */
    private static byte[] layout(long address, long size) {
        return new Packed().u8(3).u8(CONTIGUOUS).i64(address).i64(size).toBytes();
    }

    /** Datatype message (section IV.A.2.d): class 1 is floating point; bit 0 of its bit field is the byte order. */
    private void checkFloats(ObjectHeader header) {
        long type = header.require(ObjectHeader.DATATYPE, "datatype").data();
        if ((image.u8(type) & 0x0f) != 1 || image.u32(type + 4) != Float.BYTES || (image.u8(type + 1) & 0x41) != 0) {
            throw image.unsupported(
                    "has a bias or kernel that is not stored as little-endian float32: save the model in float32");
        }
    }

    private static byte[] bytes(float[] values) {
        Packed out = new Packed();
        for (float v : values) {
            out.u32(Float.floatToRawIntBits(v));
        }
        return out.toBytes();
    }
}
