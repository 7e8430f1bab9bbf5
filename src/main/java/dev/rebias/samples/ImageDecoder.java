package dev.rebias.samples;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Reads image files as grey or red, green and blue of 8 bits, upright, by their stored numbers: colour profiles are not
 * applied, for no network was trained with them. Alpha is left out, of 16 bits the upper 8 are kept, CMYK is multiplied
 * out.
 */
final class ImageDecoder {
    private static final List<String> SUFFIXES =
            List.of(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff");

    private static final int WHITE = 255;

    private ImageDecoder() {}

    /** Whether a file has the name of an image. */
    static boolean isImage(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return SUFFIXES.stream().anyMatch(name::endsWith);
    }

    /** What is done with a file once its decoder is known. */
    @FunctionalInterface
    private interface Reading<T> {
        T with(ImageReader reader, byte[] file) throws IOException;
    }

    /**
     * The size of an image, upright; its pixels are not decoded.
     *
     * @throws UnsupportedException if it is damaged or of no known kind
     */
    static ImageOptions.Size size(Path file) {
        return open(file, (reader, bytes) -> {
            boolean turned = Orientation.of(bytes) >= 5;
            int width = reader.getWidth(0);
            int height = reader.getHeight(0);
            return turned ? new ImageOptions.Size(height, width) : new ImageOptions.Size(width, height);
        });
    }

    /** The image, upright. Throws as {@link #size} does. */
    static Picture decode(Path file) {
        return open(file, (reader, bytes) -> picture(pixels(reader), isAdobeJpeg(bytes))
                .oriented(Orientation.of(bytes)));
    }

    /**
     * Whether a file is a JPEG with Adobe's marker: of four channels it stores what is left of the light instead of
     * ink.
     */
    private static boolean isAdobeJpeg(byte[] file) {
        int at = 2;
        while (at + 9 < file.length && file[at] == (byte) 0xff && file[at + 1] != (byte) 0xda) {
            if (file[at + 1] == (byte) 0xee
                    && new String(file, at + 4, 5, StandardCharsets.ISO_8859_1).equals("Adobe")) {
                return file[0] == (byte) 0xff && file[1] == (byte) 0xd8;
            }
            at += 2 + (Byte.toUnsignedInt(file[at + 2]) << 8 | Byte.toUnsignedInt(file[at + 3]));
        }
        return false;
    }

    private static <T> T open(Path file, Reading<T> reading) {
        byte[] bytes;
        try {
            ImageBounds.check(file, Files.size(file));
            bytes = Files.readAllBytes(file);
        } catch (IOException e) {
            throw new RebiasException("image '" + file + "' cannot be read: " + Failure.reason(e), e);
        }
        try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
            Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
            if (!readers.hasNext()) {
                throw new UnsupportedException("'" + file
                        + "' is not an image that rebias reads (JPEG, PNG, WebP, BMP, GIF, TIFF): remove "
                        + "or convert it");
            }
            ImageReader reader = readers.next();
            try {
                reader.setInput(in, true, true);
                ImageBounds.check(file, bytes.length, reader.getWidth(0), reader.getHeight(0));
                return reading.with(reader, bytes);
            } finally {
                reader.dispose();
            }
        } catch (UnsupportedException e) {
            throw e;
        } catch (IOException | RuntimeException | OutOfMemoryError e) {
            // Damaged files make the decoders throw whatever they run into, and claim memory for chunks that are not
            // there.
            String reason = e instanceof EOFException ? "it ends early" : Failure.deepest(e);
            throw new UnsupportedException(
                    "image '" + file + "' is damaged (" + reason + "): copy it again or remove it", e);
        }
    }

    /** As the file has them, CMYK where it can be had. */
    private static BufferedImage pixels(ImageReader reader) throws IOException {
        ImageReadParam parameters = reader.getDefaultReadParam();
        Iterator<ImageTypeSpecifier> types = reader.getImageTypes(0);
        while (types.hasNext()) {
            ImageTypeSpecifier type = types.next();
            if (type.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_CMYK) {
                parameters.setDestinationType(type);
                break;
            }
        }
        return reader.read(0, parameters);
    }

    private static Picture picture(BufferedImage image, boolean light) {
        ColorModel model = image.getColorModel();
        int transfer = image.getRaster().getTransferType();
        boolean integers = transfer == DataBuffer.TYPE_BYTE
                || transfer == DataBuffer.TYPE_USHORT
                || transfer == DataBuffer.TYPE_INT;
        if (model.isAlphaPremultiplied()) {
            image.coerceData(false);
        }
        int space = model.getColorSpace().getType();
        if (model instanceof IndexColorModel
                || !integers
                || image.getRaster().getNumBands() < model.getNumColorComponents()) {
            return byColour(image);
        }
        return switch (space) {
            case ColorSpace.TYPE_GRAY -> stored(image, 1);
            case ColorSpace.TYPE_RGB -> stored(image, 3);
            case ColorSpace.TYPE_CMYK -> multiplied(stored(image, 4), light);
            default -> byColour(image);
        };
    }

    /** The first bands' numbers, brought to 8 bits. */
    private static Picture stored(BufferedImage image, int channels) {
        Raster raster = image.getRaster();
        int width = image.getWidth();
        int height = image.getHeight();
        int bands = raster.getNumBands();
        byte[] out = new byte[Math.multiplyExact(Math.multiplyExact(width, height), channels)];
        int[] row = new int[width * bands];
        for (int y = 0; y < height; y++) {
            raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
            for (int x = 0; x < width; x++) {
                for (int c = 0; c < channels; c++) {
                    out[(y * width + x) * channels + c] =
                            eight(row[x * bands + c], raster.getSampleModel().getSampleSize(c));
                }
            }
        }
        return new Picture(width, height, channels, out);
    }

    private static byte eight(int value, int bits) {
        return (byte) (bits == 8 ? value : bits > 8 ? value >> (bits - 8) : value * WHITE / ((1 << bits) - 1));
    }

    /** Paper white less each ink, times what black lets through. */
    private static Picture multiplied(Picture cmyk, boolean light) {
        int inverted = light ? WHITE : 0;
        int n = cmyk.width() * cmyk.height();
        byte[] out = new byte[3 * n];
        for (int i = 0; i < n; i++) {
            int left = WHITE - (Byte.toUnsignedInt(cmyk.pixels()[4 * i + 3]) ^ inverted);
            for (int c = 0; c < 3; c++) {
                int ink = Byte.toUnsignedInt(cmyk.pixels()[4 * i + c]) ^ inverted;
                out[3 * i + c] = (byte) (left - Math.round(ink * left / (float) WHITE));
            }
        }
        return new Picture(cmyk.width(), cmyk.height(), 3, out);
    }

    /** By what the image's colour model makes of its numbers: palettes, and models that are rare. */
    private static Picture byColour(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        byte[] out = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
        int[] row = new int[width];
        for (int y = 0; y < height; y++) {
            image.getRGB(0, y, width, 1, row, 0, width);
            for (int x = 0; x < width; x++) {
                int at = 3 * (y * width + x);
                out[at] = (byte) (row[x] >> 16);
                out[at + 1] = (byte) (row[x] >> 8);
                out[at + 2] = (byte) row[x];
            }
        }
        return new Picture(width, height, 3, out);
    }
}
