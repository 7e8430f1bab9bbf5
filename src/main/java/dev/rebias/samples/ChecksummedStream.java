package dev.rebias.samples;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;

/**
 * An archive's entry that is checked against its checksum once it has been read to its end;
 * {@link java.util.zip.ZipFile} does not.
 */
final class ChecksummedStream extends FilterInputStream {
    private final ZipEntry entry;
    private final CRC32 sum = new CRC32();
    private long left;

    ChecksummedStream(InputStream contents, ZipEntry entry) {
        super(contents);
        this.entry = entry;
        this.left = entry.getSize();
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] to, int from, int length) throws IOException {
        int n = super.read(to, from, length);
        if (n > 0) {
            sum.update(to, from, n);
            left -= n;
            if (left == 0 && sum.getValue() != entry.getCrc()) {
                throw new ZipException("its checksum is wrong");
            }
        }
        return n;
    }

    @Override
    public long skip(long n) throws IOException {
        byte[] skipped = new byte[(int) Math.min(n, 1 << 13)];
        return Math.max(0, read(skipped, 0, skipped.length));
    }
}
