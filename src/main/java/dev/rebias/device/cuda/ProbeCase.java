package dev.rebias.device.cuda;

import java.util.List;

/**
 * A convolution that the probe tries: x [N, channels, in..], w [filters, channels / groups, kernel..].
 *
 * @param kind what is special about it
 * @param transposed whether x is worked out of y, as ConvTranspose does
 * @param in the spatial extents of x
 * @param kernel those of w
 */
record ProbeCase(
        String kind,
        boolean transposed,
        int channels,
        int filters,
        int groups,
        int[] in,
        int[] kernel,
        int stride,
        int dilation) {
    static final List<ProbeCase> ALL = List.of(
            forward("2-D", 1, 1, 1, 20, 20),
            forward("2-D strided", 1, 2, 1, 20, 20),
            forward("2-D dilated", 1, 1, 2, 20, 20),
            forward("2-D grouped", 4, 1, 1, 20, 20),
            forward("2-D depthwise", 32, 1, 1, 20, 20),
            forward("3-D", 1, 1, 1, 6, 8, 8),
            forward("3-D strided", 1, 2, 1, 6, 8, 8),
            forward("3-D dilated", 1, 1, 2, 6, 8, 8),
            forward("3-D grouped", 4, 1, 1, 6, 8, 8),
            forward("3-D depthwise", 32, 1, 1, 6, 8, 8),
            forward("2-D", 1, 1, 1, 20, 20).backward(),
            forward("2-D strided", 1, 2, 1, 20, 20).backward(),
            forward("2-D dilated", 1, 1, 2, 20, 20).backward(),
            forward("2-D grouped", 4, 1, 1, 20, 20).backward(),
            forward("2-D depthwise", 32, 1, 1, 20, 20).backward(),
            forward("3-D", 1, 1, 1, 6, 8, 8).backward(),
            forward("3-D strided", 1, 2, 1, 6, 8, 8).backward(),
            forward("3-D dilated", 1, 1, 2, 6, 8, 8).backward(),
            forward("3-D grouped", 4, 1, 1, 6, 8, 8).backward(),
            forward("3-D depthwise", 32, 1, 1, 6, 8, 8).backward());

    private static ProbeCase forward(String kind, int groups, int stride, int dilation, int... in) {
        int[] kernel = new int[in.length];
        java.util.Arrays.fill(kernel, 3);
        return new ProbeCase(kind, false, 32, 32, groups, in, kernel, stride, dilation);
    }

    private ProbeCase backward() {
        return new ProbeCase(kind, true, channels, filters, groups, in, kernel, stride, dilation);
    }

    /** As the table names it. */
    String direction() {
        return transposed ? "backward" : "forward";
    }

    /** Padding on each side: as much as keeps the extents where the stride is 1. */
    int pad() {
        return dilation;
    }

    /** The spatial extents of y. */
    int[] out() {
        int[] out = new int[in.length];
        for (int i = 0; i < in.length; i++) {
            out[i] = (in[i] + 2 * pad() - ((kernel[i] - 1) * dilation + 1)) / stride + 1;
        }
        return out;
    }

    static int product(int[] values) {
        int p = 1;
        for (int v : values) {
            p *= v;
        }
        return p;
    }

    /** Elements of one sample of x. */
    int xElements() {
        return channels * product(in);
    }

    /** Elements of one sample of y. */
    int yElements() {
        return filters * product(out());
    }

    int weights() {
        return filters * (channels / groups) * product(kernel);
    }

    /** One sample worked out with loops, in double: y of x and w, or x of y and w where it is transposed. */
    double[] expected(float[] data, float[] w) {
        int[] i3 = three(in, 1);
        int[] o3 = three(out(), 1);
        int[] k3 = three(kernel, 1);
        int padFirst = in.length == 3 ? pad() : 0;
        int[] pads = {padFirst, pad(), pad()};
        int[] strides = {in.length == 3 ? stride : 1, stride, stride};
        int[] dilations = {in.length == 3 ? dilation : 1, dilation, dilation};
        int perGroup = channels / groups;
        double[] result = new double[transposed ? xElements() : yElements()];
        for (int m = 0; m < filters; m++) {
            int firstChannel = m / (filters / groups) * perGroup;
            for (int o = 0; o < product(o3); o++) {
                int y = m * product(o3) + o;
                for (int c = 0; c < perGroup; c++) {
                    for (int k = 0; k < product(k3); k++) {
                        int[] at = {o / (o3[1] * o3[2]), o / o3[2] % o3[1], o % o3[2]};
                        int[] tap = {k / (k3[1] * k3[2]), k / k3[2] % k3[1], k % k3[2]};
                        boolean inside = true;
                        int x = firstChannel + c;
                        for (int d = 0; d < 3; d++) {
                            int p = at[d] * strides[d] - pads[d] + tap[d] * dilations[d];
                            inside &= p >= 0 && p < i3[d];
                            x = x * i3[d] + p;
                        }
                        if (inside) {
                            double weight = w[(m * perGroup + c) * product(k3) + k];
                            if (transposed) {
                                result[x] += data[y] * weight;
                            } else {
                                result[y] += data[x] * weight;
                            }
                        }
                    }
                }
            }
        }
        return result;
    }

    private static int[] three(int[] values, int missing) {
        return values.length == 3 ? values : new int[] {missing, values[0], values[1]};
    }
}
