package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * ONNX Resize and Upsample, one axis after another: every output position along an axis is a weighted sum of inputs
 * along it. Coordinates are worked out in single precision, as ONNX Runtime does: where one lies on the middle between
 * two inputs, the last bit says which is nearest.
 *
 * @param axes what is done along the axes that change, in order
 * @param output the output's shape
 * @param outside the value of outputs that lie outside the data (tf_crop_and_resize)
 */
public record Resampling(List<Axis> axes, long[] output, float outside) {
    /**
     * Where the outputs along one axis come from.
     *
     * @param axis the axis's number
     * @param size how many outputs it has
     * @param taps how many inputs each output comes from
     * @param inputs [size, taps], their indices; -1 where the output lies outside
     * @param weights [size, taps]
     */
    public record Axis(int axis, long size, int taps, int[] inputs, float[] weights) {}

    /** What the node's attributes say of every axis. */
    private record Style(
            String mode, String coordinates, String rounding, boolean isOld, float cubic, boolean excludeOutside) {}

    /** One axis: its sizes before and after, the factor between them, and the part of the input that is taken. */
    private record Span(long in, long out, float scale, float begin, float end) {}

    public Resampling {
        axes = List.copyOf(axes);
    }

    /**
     * Parses a node.
     *
     * @param scales values of the input (or, in the oldest operator set, attribute) scales
     * @param sizes values of the input sizes; exactly one of both
     * @param roi values of the input roi
     * @return empty if it resizes in a way that is not known here
     */
    public static Optional<Resampling> of(
            OnnxOp op, long[] data, Optional<float[]> scales, Optional<long[]> sizes, Optional<float[]> roi) {
        NodeProto node = op.node();
        boolean old = node.getOpType().equals("Upsample") || op.opset() < 11;
        Style style = new Style(
                Attributes.text(node, "mode", "nearest"),
                old ? "asymmetric" : Attributes.text(node, "coordinate_transformation_mode", "half_pixel"),
                Attributes.text(node, "nearest_mode", "round_prefer_floor"),
                old,
                Attributes.real(node, "cubic_coeff_a", -0.75f),
                Attributes.integer(node, "exclude_outside", 0) != 0);
        int rank = data.length;
        int[] named = Attributes.integers(node, "axes")
                .map(l -> l.stream().mapToInt(a -> (int) (a < 0 ? a + rank : a)).toArray())
                .orElseGet(() -> java.util.stream.IntStream.range(0, rank).toArray());
        boolean crop = style.coordinates().equals("tf_crop_and_resize");
        int given = scales.map(s -> s.length).or(() -> sizes.map(s -> s.length)).orElse(-1);
        boolean known = Set.of("nearest", "linear", "cubic").contains(style.mode())
                && Set.of(
                                "half_pixel",
                                "half_pixel_symmetric",
                                "pytorch_half_pixel",
                                "asymmetric",
                                "align_corners",
                                "tf_half_pixel_for_nn",
                                "tf_crop_and_resize")
                        .contains(style.coordinates())
                && Attributes.integer(node, "antialias", 0) == 0
                && Attributes.text(node, "keep_aspect_ratio_policy", "stretch").equals("stretch")
                && scales.isPresent() != sizes.isPresent()
                && given == named.length
                && (!crop || roi.filter(r -> r.length == 2 * named.length).isPresent())
                && Shape.elements(data) > 0;
        if (!known) {
            return Optional.empty();
        }
        long[] output = data.clone();
        List<Axis> axes = new ArrayList<>();
        for (int i = 0; i < named.length; i++) {
            long in = data[named[i]];
            float scale = scales.isPresent() ? scales.get()[i] : (float) sizes.get()[i] / (float) in;
            long out = sizes.isPresent() ? sizes.get()[i] : (long) (scale * (float) in);
            if (out < 0 || out > Integer.MAX_VALUE / 4 || !(scale >= 0)) {
                return Optional.empty();
            }
            output[named[i]] = out;
            Span span = new Span(in, out, scale, crop ? roi.get()[i] : 0, crop ? roi.get()[named.length + i] : 1);
            if (scale != 1 || (crop && (span.begin() != 0 || span.end() != 1))) {
                axes.add(axis(named[i], span, style));
            }
        }
        if (Arrays.equals(output, data)) {
            // By factors that leave all sizes as they are nothing is interpolated in ONNX Runtime, nor is a part taken.
            axes.clear();
        }
        return Optional.of(new Resampling(axes, output, Attributes.real(node, "extrapolation_value", 0)));
    }

    private static Axis axis(int number, Span span, Style style) {
        int taps =
                switch (style.mode()) {
                    case "nearest" -> 1;
                    case "linear" -> 2;
                    default -> 4;
                };
        int n = Math.toIntExact(span.out());
        int[] inputs = new int[n * taps];
        float[] weights = new float[n * taps];
        boolean crop = style.coordinates().equals("tf_crop_and_resize");
        for (int i = 0; i < n; i++) {
            float x = coordinate(i, span, style.coordinates());
            int at = i * taps;
            if (crop && (x < 0 || x > span.in() - 1)) {
                inputs[at] = -1;
            } else if (taps == 1) {
                inputs[at] = clamp(nearest(x, span, style), span.in());
                weights[at] = 1;
            } else if (taps == 2) {
                float clamped = Math.max(0, Math.min((float) (span.in() - 1), x));
                int low = Math.min((int) clamped, clamp(span.in() - 1, span.in()));
                inputs[at] = low;
                inputs[at + 1] = clamp(low + 1L, span.in());
                weights[at + 1] = inputs[at + 1] == low ? 0 : clamped - low;
                weights[at] = 1 - weights[at + 1];
            } else {
                cubic(x, span, style, at, inputs, weights);
            }
        }
        return new Axis(number, span.out(), taps, inputs, weights);
    }

    private static int clamp(long index, long size) {
        return (int) Math.max(0, Math.min(size - 1, index));
    }

    /** Where output i lies among the inputs, as the ONNX specification of Resize has it. */
    private static float coordinate(int i, Span span, String mode) {
        float in = span.in();
        float out = span.out();
        return switch (mode) {
            case "asymmetric" -> i / span.scale();
            case "align_corners" -> out == 1 ? 0 : i * (in - 1) / (out - 1);
            case "pytorch_half_pixel" -> out > 1 ? (i + 0.5f) / span.scale() - 0.5f : 0;
            case "tf_half_pixel_for_nn" -> (i + 0.5f) / span.scale();
            case "tf_crop_and_resize" ->
                out > 1
                        ? span.begin() * (in - 1) + i * (span.end() - span.begin()) * (in - 1) / (out - 1)
                        : 0.5f * (span.begin() + span.end()) * (in - 1);
            case "half_pixel_symmetric" -> {
                float adjustment = out / (span.scale() * in);
                yield in / 2 * (1 - adjustment) + (i + 0.5f) / span.scale() - 0.5f;
            }
            default -> (i + 0.5f) / span.scale() - 0.5f;
        };
    }

    private static long nearest(float x, Span span, Style style) {
        if (style.isOld()) {
            return span.scale() < 1 ? (long) Math.ceil(x) : (long) x;
        }
        return switch (style.rounding()) {
            case "floor" -> (long) Math.floor(x);
            case "ceil" -> (long) Math.ceil(x);
            case "round_prefer_ceil" -> Math.round((double) x);
            default -> x - Math.floor(x) == 0.5 ? (long) Math.floor(x) : Math.round((double) x);
        };
    }

    private static void cubic(float x, Span span, Style style, int at, int[] inputs, float[] weights) {
        float a = style.cubic();
        int low = (int) Math.floor(x);
        float s = x - low;
        float[] w = {
            outer(a, s + 1), inner(a, s), inner(a, 1 - s), outer(a, 2 - s),
        };
        float sum = 0;
        for (int t = 0; t < w.length; t++) {
            long k = low + t - 1L;
            boolean excluded = style.excludeOutside() && (k < 0 || k >= span.in());
            inputs[at + t] = clamp(k, span.in());
            weights[at + t] = excluded ? 0 : w[t];
            sum += weights[at + t];
        }
        for (int t = 0; t < w.length && style.excludeOutside(); t++) {
            weights[at + t] /= sum;
        }
    }

    /** The cubic kernel between 1 and 2. */
    private static float outer(float a, float d) {
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }

    /** The cubic kernel up to 1. */
    private static float inner(float a, float d) {
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    }

    @Override
    public String toString() {
        return "resize to " + Shape.text(output);
    }
}
