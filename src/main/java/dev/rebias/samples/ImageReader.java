package dev.rebias.samples;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Reads a folder of images, in the order of their file names, as [n, channels, height, width] or [n, height, width, channels]: red, green, blue for 3 channels, luminance (ITU-R
 * BT.601 weights) for 1. Images are not resized.
 */
final class ImageReader implements SampleReader {
    private static final List<String> SUFFIXES = List.of(".png", ".jpg", ".jpeg", ".bmp", ".gif");

    private final List<Path> files;
    private final int channels;
    private final int height;
    private final int width;
    private final boolean channelsLast;
    private final Normalization normalization;
    private int position;

    /** Takes the size from the input, and where that leaves it open, from the first image. */
    ImageReader(List<Path> files, InputSpec input, Normalization normalization) {
        this.files = files;
        this.normalization = normalization;
        this.channels = Math.toIntExact(input.shape()[input.channelAxis(4)]);
        this.channelsLast = input.channelsLast();
        long h = input.shape()[channelsLast ? 1 : 2];
        long w = input.shape()[channelsLast ? 2 : 3];
        ImageFile.Size first = h < 0 || w < 0 ? ImageFile.size(files.get(0)) : new ImageFile.Size((int) w, (int) h);
        this.height = h < 0 ? first.height() : Math.toIntExact(h);
        this.width = w < 0 ? first.width() : Math.toIntExact(w);
    }

    /** The image files in a folder, by name. */
    static List<Path> files(Path folder) {
        try (Stream<Path> list = Files.list(folder)) {
            return list.filter(Files::isRegularFile)
                    .filter(f -> SUFFIXES.stream()
                            .anyMatch(f.getFileName().toString().toLowerCase(Locale.ROOT)::endsWith))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new RebiasException("folder '" + folder + "' cannot be listed: " + Failure.reason(e), e);
        }
    }

    /** Checks that an input can be filled with images. */
    static void check(Path folder, InputSpec input, Normalization normalization) {
        boolean fits = input.type() == ElementType.FLOAT
                && input.shape().length == 4
                && (channels(input) == 1 || channels(input) == 3);
        if (!fits) {
            throw new UnsupportedException("images in '" + folder + "' cannot fill input '" + input.name() + "' ("
                    + input.type() + " " + input.shapeText()
                    + "): that takes FLOAT "
                    + (input.channelsLast() ? "[N,height,width,1 or 3]" : "[N,1 or 3,height,width]")
                    + "; save the samples as an .npz instead");
        }
        if (!normalization.fits(channels(input))) {
            throw new UnsupportedException("mean and std have another number of values than input '" + input.name()
                    + "' " + input.shapeText() + " has channels");
        }
    }

    private static long channels(InputSpec input) {
        return input.shape()[input.channelAxis(4)];
    }

    @Override
    public HostTensor next(int n) {
        HostTensor out = channelsLast
                ? HostTensor.zeros(ElementType.FLOAT, n, height, width, channels)
                : HostTensor.zeros(ElementType.FLOAT, n, channels, height, width);
        FloatBuffer to = out.floats();
        for (int i = 0; i < n; i++, position++) {
            Path file = files.get(position);
            put(ImageFile.read(file, size -> checkSize(file, size)), to, i);
        }
        return out;
    }

    @Override
    public void skip(int n) {
        position += n;
    }

    private void checkSize(Path file, ImageFile.Size size) {
        if (size.height() != height || size.width() != width) {
            throw new UnsupportedException("image '" + file + "' is " + size + " pixels, wanted are " + width + " x "
                    + height + ": resize it");
        }
    }

    private void put(BufferedImage image, FloatBuffer to, int sample) {
        int transfer = image.getRaster().getTransferType();
        boolean grey = image.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_GRAY
                && (transfer == DataBuffer.TYPE_BYTE || transfer == DataBuffer.TYPE_USHORT);
        int shift = transfer == DataBuffer.TYPE_USHORT ? 8 : 0; // 16-bit images are read as their upper 8 bits
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                // getRGB would pass a grey image through the linear grey colour space and change its values.
                int rgb = grey ? (image.getRaster().getSample(x, y, 0) >> shift) * 0x010101 : image.getRGB(x, y);
                int r = rgb >> 16 & 255;
                int g = rgb >> 8 & 255;
                int b = rgb & 255;
                for (int c = 0; c < channels; c++) {
                    float value = channels == 1 ? luminance(r, g, b) : c == 0 ? r : c == 1 ? g : b;
                    int at = channelsLast
                            ? ((sample * height + y) * width + x) * channels + c
                            : ((sample * channels + c) * height + y) * width + x;
                    to.put(at, normalization.apply(value, c));
                }
            }
        }
    }

    private static float luminance(int r, int g, int b) {
        return r == g && g == b ? r : Math.round(0.299f * r + 0.587f * g + 0.114f * b);
    }

    @Override
    public void close() {
        // Every image file is closed as soon as it has been read.
    }
}
