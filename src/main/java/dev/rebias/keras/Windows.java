package dev.rebias.keras;

import ai.onnx.proto.OnnxMl.AttributeProto;
import dev.rebias.op.Attributes;
import java.util.ArrayList;
import java.util.List;

/**
 * How the window of a convolution or pooling moves over height and width: Keras' strides, dilation_rate and padding,
 * where {@code same} pads by as much behind as before, or by one more (ONNX's SAME_UPPER), and {@code valid} not at
 * all.
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

    /**
     * The attributes of an ONNX node that moves the window over such an image. Padding is spelled out where it is
     * known, since not every engine knows SAME_UPPER with dilations.
     *
     * @param image [height, width, ..]; -1 where the model leaves one open
     */
    List<AttributeProto> attributes(long[] image) {
        List<AttributeProto> attributes = new ArrayList<>(poolingAttributes(image));
        attributes.add(Attributes.of("dilations", list(dilations)));
        return attributes;
    }

    /** The same of a pooling, which has no dilations before opset 19. */
    List<AttributeProto> poolingAttributes(long[] image) {
        List<AttributeProto> attributes = new ArrayList<>();
        attributes.add(Attributes.of("kernel_shape", list(size)));
        attributes.add(Attributes.of("strides", list(strides)));
        if (!same) {
            return attributes;
        }
        if ((image[0] < 0 && strides[0] > 1) || (image[1] < 0 && strides[1] > 1)) {
            attributes.add(Attributes.of("auto_pad", "SAME_UPPER"));
            return attributes;
        }
        long[] total = new long[2];
        for (int i = 0; i < 2; i++) {
            // With stride 1 the padding is the same for all sizes.
            long in = Math.max(image[i], 1);
            long out = (in + strides[i] - 1) / strides[i];
            total[i] = Math.max((out - 1) * strides[i] + (size[i] - 1) * dilations[i] + 1 - in, 0);
        }
        attributes.add(Attributes.of(
                "pads", List.of(total[0] / 2, total[1] / 2, total[0] - total[0] / 2, total[1] - total[1] / 2)));
        return attributes;
    }

    private static List<Long> list(long[] pair) {
        return List.of(pair[0], pair[1]);
    }

    /** The shape of the output, [height, width, channels]; -1 where the input's is open. */
    long[] output(KerasLayer layer, long[] image, long channels) {
        long[] out = {image[0], image[1], channels};
        for (int i = 0; i < 2; i++) {
            if (out[i] >= 0) {
                long extent = (size[i] - 1) * dilations[i] + 1;
                out[i] = same ? (out[i] + strides[i] - 1) / strides[i] : Math.floorDiv(out[i] - extent, strides[i]) + 1;
                if (out[i] < 1) {
                    throw layer.unsupported("has a window of " + extent + " that does not fit into " + image[i]
                            + " along axis " + (i + 1) + " of its images");
                }
            }
        }
        return out;
    }
}
