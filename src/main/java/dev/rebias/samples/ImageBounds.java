package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import java.nio.file.Path;

/**
 * How large an image may say that it is, before anything of it is decoded: a few hundred bytes can claim gigabytes of
 * pixels.
 */
final class ImageBounds {
    /** The most pixels of an image: 12,000 x 9,000 of a camera, and 300 MB decoded. */
    static final long MOST_PIXELS = 108_000_000;
    /** The most pixels for each byte of the file; deflate makes 8,256 of one at 1 bit each. */
    static final long MOST_PER_BYTE = 10_000;
    /** The most bytes of an image's file, which is read whole. */
    static final long MOST_BYTES = 1L << 30;

    private ImageBounds() {}

    /**
     * Checks the size that an image's header states.
     *
     * @param bytes the size of its file
     * @throws UnsupportedException if it cannot be true, or is more than is decoded
     */
    static void check(Path file, long bytes, int width, int height) {
        String size = width + " x " + height;
        long pixels = (long) width * height;
        if (width < 1 || height < 1 || pixels > bytes * MOST_PER_BYTE) {
            throw new UnsupportedException("image '" + file + "' claims " + size + " pixels, more than a file of "
                    + bytes + " bytes can hold: it is damaged, copy it again or remove it");
        }
        if (pixels > MOST_PIXELS) {
            throw new UnsupportedException("image '" + file + "' has " + size + " pixels; rebias decodes up to "
                    + MOST_PIXELS + " (12000 x 9000): make it smaller or remove it");
        }
    }

    /** Checks the size of an image's file. Throws as {@link #check(Path, long, int, int)} does. */
    static void check(Path file, long bytes) {
        if (bytes > MOST_BYTES) {
            throw new UnsupportedException("image file '" + file + "' has " + bytes + " bytes; rebias reads up to "
                    + MOST_BYTES + ": make it smaller or remove it");
        }
    }
}
