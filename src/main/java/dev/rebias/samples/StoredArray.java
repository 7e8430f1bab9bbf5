package dev.rebias.samples;

import dev.rebias.error.Failure;
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

    /** The most bytes that one Java array or buffer can hold. */
    private static final long MOST = Integer.MAX_VALUE - 16L;

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
                ? new UnsupportedException(where + " is damaged (" + Failure.reason(e) + "): copy or save it again", e)
                : new RebiasException(where + " cannot be read: " + Failure.reason(e), e);
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

    /**
     * The elements of the first samples in C order, as a stream of bytes, behind which others may follow. In Fortran
     * order samples lie scattered over the whole file: there the first ones are gathered before anything is given.
     *
     * @param samples how many, along axis 0, will be read at most
     */
    InputStream elements(long samples) throws IOException {
        InputStream in = new BufferedInputStream(opener.open(), 1 << 16);
        try {
            in.skipNBytes(header.bytes());
            if (!header.fortranOrder() || header.shape().length < 2) {
                return in;
            }
            try (in) {
                return new ByteArrayInputStream(gathered(in, Math.min(samples, header.shape()[0])));
            }
        } catch (IOException | RuntimeException | Error e) {
            in.close();
            throw e;
        }
    }

    /** The first samples of an array in Fortran order, in C order. */
    private byte[] gathered(InputStream in, long samples) throws IOException {
        long[] shape = header.shape().clone();
        long all = shape[0];
        shape[0] = samples;
        int size = header.type().bytes();
        byte[] to = new byte
                [size(
                        shape,
                        "its first " + samples + " samples, which must be held at once as it is in Fortran order",
                        "save it in C order (numpy.ascontiguousarray), or take fewer (`limit`)")];
        int sampleBytes = to.length / Math.max(1, Math.toIntExact(samples));
        byte[] run = new byte[Math.toIntExact(samples * size)];
        long[] index = new long[shape.length];
        for (long left = Shape.elements(shape, 1, shape.length); left > 0; left--) {
            if (in.readNBytes(run, 0, run.length) < run.length) {
                throw new EOFException("it ends early");
            }
            in.skipNBytes((all - samples) * size);
            int at = 0;
            for (int d = 1; d < shape.length; d++) {
                at = at * Math.toIntExact(shape[d]) + Math.toIntExact(index[d]);
            }
            for (int i = 0; i < samples; i++) {
                System.arraycopy(run, i * size, to, i * sampleBytes + at * size, size);
            }
            for (int d = 1; d < shape.length && ++index[d] == shape[d]; d++) {
                index[d] = 0;
            }
        }
        return to;
    }

    /**
     * The bytes of some of the array's elements, if one Java buffer can hold them.
     *
     * @throws UnsupportedException if they are 2 GiB or more, saying what they are and what to do
     */
    int size(long[] shape, String what, String cure) {
        long bytes;
        try {
            bytes = Math.multiplyExact(
                    Shape.elements(shape), (long) header.type().bytes());
        } catch (ArithmeticException e) {
            bytes = Long.MAX_VALUE;
        }
        if (bytes > MOST) {
            throw new UnsupportedException(where + " has shape " + Shape.text(header.shape()) + ": " + what
                    + " would take " + (bytes == Long.MAX_VALUE ? "more than 8 EiB" : bytes + " bytes")
                    + ", and up to 2 GiB are possible: " + cure);
        }
        return (int) bytes;
    }

    /** The whole array. */
    HostTensor whole() {
        int size = size(header.shape(), "the whole array", "it is larger than rebias reads at once");
        try (InputStream in = elements(header.shape().length == 0 ? 1 : header.shape()[0])) {
            HostTensor out = HostTensor.zeros(header.type(), header.shape());
            byte[] bytes = in.readNBytes(size);
            if (bytes.length < size) {
                throw new EOFException("it ends early");
            }
            out.bytes().put(bytes);
            return out;
        } catch (IOException e) {
            throw failure(where, e);
        }
    }
}
