package dev.rebias.samples;

import java.util.Arrays;

/**
 * Resizes images as Pillow does, to the last bit: every new pixel is the weighted mean of the old ones in reach of it,
 * the reach growing with the reduction (antialiasing); first along rows, then along columns, each pass rounded to 8
 * bits. Weights have 22 bits behind the point.
 */
final class Resampler {
    private static final int BITS = 22;

    /** For each new position the first old one in reach, and the weights from there on. */
    private record Weights(int[] first, int[][] weights) {}

    private Resampler() {}

    static Picture resize(Picture picture, ImageOptions.Size size, ImageOptions.Filter filter) {
        Picture across = size.width() == picture.width() ? picture : across(picture, size.width(), filter);
        return size.height() == across.height() ? across : down(across, size.height(), filter);
    }

    private static Picture across(Picture from, int width, ImageOptions.Filter filter) {
        Weights weights = weights(from.width(), width, filter);
        int channels = from.channels();
        byte[] in = from.pixels();
        byte[] out = new byte[Math.multiplyExact(width * channels, from.height())];
        for (int y = 0; y < from.height(); y++) {
            int row = y * from.width();
            for (int x = 0; x < width; x++) {
                int[] w = weights.weights()[x];
                int at = (row + weights.first()[x]) * channels;
                for (int c = 0; c < channels; c++) {
                    int sum = 1 << (BITS - 1);
                    for (int i = 0; i < w.length; i++) {
                        sum += w[i] * Byte.toUnsignedInt(in[at + i * channels + c]);
                    }
                    out[(y * width + x) * channels + c] = clipped(sum);
                }
            }
        }
        return new Picture(width, from.height(), channels, out);
    }

    private static Picture down(Picture from, int height, ImageOptions.Filter filter) {
        Weights weights = weights(from.height(), height, filter);
        int length = from.width() * from.channels();
        byte[] in = from.pixels();
        byte[] out = new byte[Math.multiplyExact(length, height)];
        int[] sums = new int[length];
        for (int y = 0; y < height; y++) {
            Arrays.fill(sums, 1 << (BITS - 1));
            int[] w = weights.weights()[y];
            for (int i = 0; i < w.length; i++) {
                int row = (weights.first()[y] + i) * length;
                for (int x = 0; x < length; x++) {
                    sums[x] += w[i] * Byte.toUnsignedInt(in[row + x]);
                }
            }
            for (int x = 0; x < length; x++) {
                out[y * length + x] = clipped(sums[x]);
            }
        }
        return new Picture(from.width(), height, from.channels(), out);
    }

    private static byte clipped(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> BITS));
    }

    private static Weights weights(int from, int to, ImageOptions.Filter filter) {
        double scale = (double) from / to;
        double stretch = Math.max(1, scale);
        double reach = (filter == ImageOptions.Filter.BICUBIC ? 2 : 1) * stretch;
        int[] first = new int[to];
        int[][] weights = new int[to][];
        for (int i = 0; i < to; i++) {
            double centre = (i + 0.5) * scale;
            first[i] = Math.max(0, (int) (centre - reach + 0.5));
            int end = Math.min(from, (int) (centre + reach + 0.5));
            double[] real = new double[end - first[i]];
            double sum = 0;
            for (int k = 0; k < real.length; k++) {
                real[k] = weight((k + first[i] - centre + 0.5) / stretch, filter);
                sum += real[k];
            }
            weights[i] = new int[real.length];
            for (int k = 0; k < real.length; k++) {
                double scaled = real[k] / sum * (1 << BITS);
                weights[i][k] = (int) (scaled + Math.copySign(0.5, scaled));
            }
        }
        return new Weights(first, weights);
    }

    /**
     * A triangle; or the cubic convolution with a = -1/2 (Keys, "Cubic Convolution Interpolation for Digital Image
     * Processing", 1981).
     */
    private static double weight(double distance, ImageOptions.Filter filter) {
        double x = Math.abs(distance);
        if (filter == ImageOptions.Filter.BILINEAR) {
            return x < 1 ? 1 - x : 0;
        }
        double a = -0.5;
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }
}
