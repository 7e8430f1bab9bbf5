package dev.rebias.samples;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;

/**
 * One image in a file. Its size is read from its header and held against bounds before anything is decoded: a few hundred bytes can claim gigabytes of pixels.
 */
final class ImageFile {
    /** The most pixels of an image: 12,000 x 9,000 of a camera, and 300 MB decoded. */
    static final long MOST_PIXELS = 108_000_000;
    /** The most pixels for each byte of the file; deflate makes 8,256 of one at 1 bit each. */
    static final long MOST_PER_BYTE = 10_000;

    private ImageFile() {}

    /** Width and height in pixels. */
    record Size(int width, int height) {
        @Override
        public String toString() {
            return width + " x " + height;
        }
    }

    /** What to do with a size, before it is decoded. Throws if it does not fit. */
    @FunctionalInterface
    interface Check {
        void check(Size size);
    }

    @FunctionalInterface
    private interface Work<T> {
        T run(ImageReader reader) throws IOException;
    }

    /**
     * The size, from the header.
     *
     * @throws UnsupportedException if it is no image that can be read, damaged, or larger than an image may be
     */
    static Size size(Path file) {
        return with(file, reader -> size(file, reader));
    }

    /**
     * Decodes an image.
     *
     * @param check is given the size before anything is decoded
     * @throws UnsupportedException as {@link #size} does
     */
    static BufferedImage read(Path file, Check check) {
        return with(file, reader -> {
            check.check(size(file, reader));
            return reader.read(0);
        });
    }

    private static Size size(Path file, ImageReader reader) throws IOException {
        Size size = new Size(reader.getWidth(0), reader.getHeight(0));
        long pixels = (long) size.width() * size.height();
        long bytes = Files.size(file);
        if (size.width() < 1 || size.height() < 1 || pixels > bytes * MOST_PER_BYTE) {
            throw new UnsupportedException("image '" + file + "' claims " + size + " pixels, more than a file of "
                    + bytes + " bytes can hold: it is damaged, copy it again or remove it");
        }
        if (pixels > MOST_PIXELS) {
            throw new UnsupportedException("image '" + file + "' has " + size + " pixels; rebias decodes up to "
                    + MOST_PIXELS + " (12000 x 9000): make it smaller or remove it");
        }
        return size;
    }

    private static <T> T with(Path file, Work<T> work) {
        try (ImageInputStream in = ImageIO.createImageInputStream(file.toFile())) {
            if (in == null) {
                throw new RebiasException("image '" + file + "' cannot be read: check its permissions");
            }
            Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
            if (!readers.hasNext()) {
                throw new UnsupportedException(
                        "'" + file + "' is not an image that rebias reads (PNG, JPEG, BMP, GIF): remove or convert it");
            }
            ImageReader reader = readers.next();
            try {
                reader.setInput(in, true, true);
                return work.run(reader);
            } finally {
                reader.dispose();
            }
        } catch (AccessDeniedException | NoSuchFileException e) {
            throw new RebiasException("image '" + file + "' cannot be read: " + Failure.reason(e), e);
        } catch (RebiasException e) {
            throw e;
        } catch (IOException | RuntimeException | OutOfMemoryError e) {
            // Damaged files make the decoders throw exceptions of many kinds, and claim memory for chunks that are not
            // there.
            String reason = e instanceof EOFException ? "it ends early" : Failure.deepest(e);
            throw new UnsupportedException(
                    "image '" + file + "' is damaged (" + reason + "): copy it again or remove it", e);
        }
    }
}
