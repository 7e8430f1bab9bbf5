package dev.rebias.op;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Optional;

/** Reads and writes the attributes of an ONNX node. */
public final class Attributes {
    private Attributes() {}

    public static Optional<AttributeProto> find(NodeProto node, String name) {
        return node.getAttributeList().stream()
                .filter(a -> a.getName().equals(name))
                .findFirst();
    }

    public static long integer(NodeProto node, String name, long otherwise) {
        return find(node, name).map(AttributeProto::getI).orElse(otherwise);
    }

    public static float real(NodeProto node, String name, float otherwise) {
        return find(node, name).map(AttributeProto::getF).orElse(otherwise);
    }

    public static String text(NodeProto node, String name, String otherwise) {
        return find(node, name).map(a -> a.getS().toStringUtf8()).orElse(otherwise);
    }

    /** The list of integers, or empty where the attribute is absent. */
    public static Optional<List<Long>> integers(NodeProto node, String name) {
        return find(node, name).map(a -> List.copyOf(a.getIntsList()));
    }

    /** The list of real numbers, or empty where the attribute is absent. */
    static Optional<float[]> reals(NodeProto node, String name) {
        return find(node, name).map(a -> {
            float[] values = new float[a.getFloatsCount()];
            for (int i = 0; i < values.length; i++) {
                values[i] = a.getFloats(i);
            }
            return values;
        });
    }

    public static AttributeProto of(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    public static AttributeProto of(String name, float value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.FLOAT)
                .setF(value)
                .build();
    }

    public static AttributeProto of(String name, String value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.STRING)
                .setS(ByteString.copyFromUtf8(value))
                .build();
    }

    public static AttributeProto of(String name, List<Long> values) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INTS)
                .addAllInts(values)
                .build();
    }
}
