package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.List;

/** QuantizeLinear and DequantizeLinear, per tensor or per axis. */
final class NaiveQuantizers {
    private NaiveQuantizers() {}

    /** saturate(roundHalfToEven(x / scale) + zero point); the zero point's type is the result's. */
    static NaiveTensor quantize(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        NaiveTensor scale = in.get(1);
        boolean shifted = in.size() > 2 && in.get(2) != null;
        DataType type = shifted ? in.get(2).type() : DataType.UINT8;
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        for (int i = 0; i < y.values().length; i++) {
            int c = channel(node, x, scale, i);
            double zero = shifted ? in.get(2).values()[c] : 0;
            double q = Math.rint(x.values()[i] / scale.values()[c]) + zero;
            y.values()[i] = Math.max(lowest(type), Math.min(highest(type), q));
        }
        return y.as(type);
    }

    /** (x - zero point) * scale. */
    static NaiveTensor dequantize(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        NaiveTensor scale = in.get(1);
        boolean shifted = in.size() > 2 && in.get(2) != null;
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        for (int i = 0; i < y.values().length; i++) {
            int c = channel(node, x, scale, i);
            y.values()[i] = (x.values()[i] - (shifted ? in.get(2).values()[c] : 0)) * scale.values()[c];
        }
        return y;
    }

    private static int channel(NodeProto node, NaiveTensor x, NaiveTensor scale, int i) {
        if (scale.values().length == 1) {
            return 0;
        }
        int axis = x.axis((int) NaiveNetwork.integer(node, "axis", 1));
        if (scale.rank() != 1 || scale.values().length != x.shape()[axis]) {
            throw new IllegalArgumentException("scales of " + node.getName() + " do not fit axis " + axis);
        }
        return i / x.span(axis + 1, x.rank()) % x.shape()[axis];
    }

    private static double lowest(DataType type) {
        return switch (type) {
            case INT8 -> Byte.MIN_VALUE;
            case INT16 -> Short.MIN_VALUE;
            case INT32 -> Integer.MIN_VALUE;
            case UINT8, UINT16 -> 0;
            default -> throw new IllegalArgumentException("quantised to " + type);
        };
    }

    private static double highest(DataType type) {
        return switch (type) {
            case INT8 -> Byte.MAX_VALUE;
            case INT16 -> Short.MAX_VALUE;
            case INT32 -> Integer.MAX_VALUE;
            case UINT8 -> 255;
            case UINT16 -> 65535;
            default -> throw new IllegalArgumentException("quantised to " + type);
        };
    }
}
