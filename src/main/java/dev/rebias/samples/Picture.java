package dev.rebias.samples;

import java.util.Arrays;

/**
 * A decoded image of 8 bits.
 *
 * @param channels 1 (grey) or 3 (red, green, blue)
 * @param pixels row by row, a pixel's channels side by side
 */
record Picture(int width, int height, int channels, byte[] pixels) {
    ImageOptions.Size size() {
        return new ImageOptions.Size(width, height);
    }

    static Picture filled(ImageOptions.Size size, int channels, int value) {
        byte[] pixels = new byte[Math.multiplyExact(Math.multiplyExact(size.width(), size.height()), channels)];
        Arrays.fill(pixels, (byte) value);
        return new Picture(size.width(), size.height(), channels, pixels);
    }

    /** The part of that size from a corner on. */
    Picture part(int left, int top, ImageOptions.Size size) {
        Picture part = filled(size, channels, 0);
        for (int y = 0; y < size.height(); y++) {
            System.arraycopy(
                    pixels,
                    ((top + y) * width + left) * channels,
                    part.pixels,
                    y * size.width() * channels,
                    size.width() * channels);
        }
        return part;
    }

    /** Puts another one, which fits, into this one. */
    void put(Picture other, int left, int top) {
        for (int y = 0; y < other.height; y++) {
            System.arraycopy(
                    other.pixels,
                    y * other.width * channels,
                    pixels,
                    ((top + y) * width + left) * channels,
                    other.width * channels);
        }
    }

    /** As many channels as that: luminance (ITU-R BT.601 weights) for one, equal ones for three. */
    Picture withChannels(int wanted) {
        if (wanted == channels) {
            return this;
        }
        byte[] out = new byte[width * height * wanted];
        for (int i = 0; i < width * height; i++) {
            if (wanted == 1) {
                int r = Byte.toUnsignedInt(pixels[3 * i]);
                int g = Byte.toUnsignedInt(pixels[3 * i + 1]);
                int b = Byte.toUnsignedInt(pixels[3 * i + 2]);
                out[i] = (byte) (r == g && g == b ? r : Math.round(0.299f * r + 0.587f * g + 0.114f * b));
            } else {
                out[3 * i] = pixels[i];
                out[3 * i + 1] = pixels[i];
                out[3 * i + 2] = pixels[i];
            }
        }
        return new Picture(width, height, wanted, out);
    }

    /**
     * Turned and mirrored as a camera's note says (Exif 2.3, tag Orientation): row 0 and column 0 of the stored image
     * are, from 1 to 8, top left, top right, bottom right, bottom left, left top, right top, right bottom, left bottom.
     */
    Picture oriented(int orientation) {
        if (orientation <= 1 || orientation > 8) {
            return this;
        }
        boolean turned = orientation >= 5;
        int w = turned ? height : width;
        int h = turned ? width : height;
        byte[] out = new byte[pixels.length];
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                int u = turned ? y : x;
                int v = turned ? x : y;
                boolean mirrorColumns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
                boolean mirrorRows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
                int column = mirrorColumns ? width - 1 - u : u;
                int row = mirrorRows ? height - 1 - v : v;
                System.arraycopy(pixels, (row * width + column) * channels, out, (y * w + x) * channels, channels);
            }
        }
        return new Picture(w, h, channels, out);
    }
}
