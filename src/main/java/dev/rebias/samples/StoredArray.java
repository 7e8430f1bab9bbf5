package dev.rebias.samples;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipException;

/** One array of a NumPy file: its header is known, its elements are read when they are needed. */
final class StoredArray {
    /** Opens the file (or the archive's entry) from its first byte. */
    @FunctionalInterface
    interface Opener {
        InputStream open() throws IOException;
    }

    private final String where;
    private final NpyHeader header;
    private final Opener opener;

    private StoredArray(String where, NpyHeader header, Opener opener) {
        this.where = where;
        this.header = header;
        this.opener = opener;
    }

    /**
     * Reads an array's header.
     *
     * @param where the file and array, for messages
     * @param size the bytes of header and elements together; -1 if unknown
     */
    static StoredArray open(String where, long size, Opener opener) {
        try (InputStream in = new BufferedInputStream(opener.open())) {
            NpyHeader header = NpyHeader.read(in, where);
            if (size >= 0 && size != header.bytes() + header.dataBytes()) {
                throw new UnsupportedException(where + " says that it holds " + Shape.text(header.shape()) + " "
                        + header.type() + ", which is " + header.dataBytes() + " bytes, but " + (size - header.bytes())
                        + " bytes are there: the file is damaged");
            }
            return new StoredArray(where, header, opener);
        } catch (IOException e) {
            throw failure(where, e);
        }
    }

    static RebiasException failure(String where, IOException e) {
        return e instanceof ZipException || e instanceof EOFException
                ? new UnsupportedException(where + " is damaged (" + e.getMessage() + "): copy or save it again", e)
                : new RebiasException(where + " cannot be read: " + e.getMessage(), e);
    }

    String where() {
        return where;
    }

    ElementType type() {
        return header.type();
    }

    long[] shape() {
        return header.shape().clone();
    }

    /** The elements in C order, as a stream of bytes. An array in Fortran order is read whole first, for there samples lie scattered. */
    InputStream elements() throws IOException {
        InputStream in = new BufferedInputStream(opener.open(), 1 << 16);
        try {
            in.skipNBytes(header.bytes());
            if (!header.fortranOrder() || header.shape().length < 2) {
                return in;
            }
            try (in) {
                byte[] all = in.readNBytes(Math.toIntExact(header.dataBytes()));
                if (all.length < header.dataBytes()) {
                    throw new EOFException("it ends early");
                }
                return new ByteArrayInputStream(toCOrder(all));
            }
        } catch (IOException | RuntimeException e) {
            in.close();
            throw e;
        }
    }

    private byte[] toCOrder(byte[] from) {
        long[] shape = header.shape();
        int size = header.type().bytes();
        byte[] to = new byte[from.length];
        long[] index = new long[shape.length];
        for (int at = 0; at < from.length; at += size) {
            long position = 0;
            for (int d = shape.length - 1; d >= 0; d--) {
                position = position * shape[d] + index[d];
            }
            System.arraycopy(from, Math.toIntExact(position * size), to, at, size);
            for (int d = shape.length - 1; d >= 0 && ++index[d] == shape[d]; d--) {
                index[d] = 0;
            }
        }
        return to;
    }

    /** The whole array. */
    HostTensor whole() {
        if (header.dataBytes() > Integer.MAX_VALUE) {
            throw new UnsupportedException(
                    where + " has " + header.dataBytes() + " bytes; up to 2 GiB can be read whole");
        }
        try (InputStream in = elements()) {
            HostTensor out = HostTensor.zeros(header.type(), header.shape());
            byte[] bytes = in.readNBytes((int) header.dataBytes());
            if (bytes.length < header.dataBytes()) {
                throw new EOFException("it ends early");
            }
            out.bytes().put(bytes);
            return out;
        } catch (IOException e) {
            throw failure(where, e);
        }
    }
}
