package dev.rebias.keras;

import ai.onnx.proto.OnnxMl.AttributeProto;
import dev.rebias.op.Attributes;
import java.util.List;

/**
 * How the window of a convolution or pooling moves over height and width: Keras' strides, dilation_rate and padding, where {@code same} pads by
 * as much behind as before, or by one more (ONNX's SAME_UPPER), and {@code valid} not at all.
 */
final class Windows {
    /** A window of one element. */
    static final Windows NONE = new Windows(new long[] {1, 1}, new long[] {1, 1}, new long[] {1, 1}, false);

    private final long[] size;
    private final long[] strides;
    private final long[] dilations;
    private final boolean same;

    private Windows(long[] size, long[] strides, long[] dilations, boolean same) {
        this.size = size;
        this.strides = strides;
        this.dilations = dilations;
        this.same = same;
    }

    /** The window of a convolution. */
    Windows(KerasLayer layer, long[] size) {
        this(size, layer.pair("strides", 1, 1), layer.pair("dilation_rate", 1, 1), isSame(layer));
    }

    /** The window of a pooling, whose strides are its size unless others are given. */
    static Windows pooling(KerasLayer layer) {
        long[] size = layer.pair("pool_size", 2, 2);
        return new Windows(size, layer.pair("strides", size), new long[] {1, 1}, isSame(layer));
    }

    private static boolean isSame(KerasLayer layer) {
        String padding = layer.text("padding", "valid");
        if (!padding.equals("same") && !padding.equals("valid")) {
            throw layer.unsupported("has the padding '" + padding + "'; Keras' are same and valid");
        }
        return padding.equals("same");
    }

    List<AttributeProto> attributes() {
        AttributeProto kernel = Attributes.of("kernel_shape", list(size));
        if (this == NONE) {
            return List.of(kernel);
        }
        return List.of(
                kernel,
                Attributes.of("strides", list(strides)),
                Attributes.of("dilations", list(dilations)),
                Attributes.of("auto_pad", same ? "SAME_UPPER" : "VALID"));
    }

    /** The attributes that a pooling has: without dilations, which no opset before 19 gives an average. */
    List<AttributeProto> poolingAttributes() {
        return attributes().stream()
                .filter(a -> !a.getName().equals("dilations"))
                .toList();
    }

    private static List<Long> list(long[] pair) {
        return List.of(pair[0], pair[1]);
    }

    /** The shape of the output, [height, width, channels]; -1 where the input's is open. */
    long[] output(long[] image, long channels) {
        long[] out = {image[0], image[1], channels};
        for (int i = 0; i < 2; i++) {
            if (out[i] >= 0) {
                long extent = (size[i] - 1) * dilations[i] + 1;
                out[i] = same ? (out[i] + strides[i] - 1) / strides[i] : Math.floorDiv(out[i] - extent, strides[i]) + 1;
            }
        }
        return out;
    }
}
