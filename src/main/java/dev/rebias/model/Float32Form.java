package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A model whose FLOAT16 and BFLOAT16 tensors have become FLOAT: constants, inputs, outputs, and what operations are
 * told to make. Nodes keep their order and their names, and every constant its value; only what is computed is no
 * longer rounded to 16 bits.
 */
final class Float32Form {
    private static final int FLOAT = TensorProto.DataType.FLOAT.getNumber();
    private static final Set<Integer> HALVES =
            Set.of(TensorProto.DataType.FLOAT16.getNumber(), TensorProto.DataType.BFLOAT16.getNumber());

    /** The attributes that hold an element type. */
    private static final Set<String> TYPES = Set.of("to", "dtype", "output_dtype", "stash_type", "precision");

    private final ExternalData external;

    private Float32Form(OnnxModel model) {
        this.external = new ExternalData(model);
    }

    /** Whether a model has such tensors. */
    static boolean isWanted(ModelProto model) {
        return hasHalves(model.getGraph());
    }

    /** The message of the model's float form; its constants that were converted are in it. */
    static ModelProto of(OnnxModel model) {
        ModelProto.Builder out = model.proto().toBuilder();
        new Float32Form(model).convert(out.getGraphBuilder());
        return out.build();
    }

    private static boolean hasHalves(GraphProto graph) {
        return graph.getInitializerList().stream().anyMatch(t -> HALVES.contains(t.getDataType()))
                || values(graph).anyMatch(v -> HALVES.contains(elementType(v.getType())))
                || graph.getNodeList().stream()
                        .flatMap(n -> n.getAttributeList().stream())
                        .anyMatch(Float32Form::hasHalves);
    }

    private static Stream<ValueInfoProto> values(GraphProto graph) {
        return Stream.of(graph.getInputList(), graph.getOutputList(), graph.getValueInfoList())
                .flatMap(l -> l.stream());
    }

    private static int elementType(TypeProto type) {
        return type.hasTensorType() ? type.getTensorType().getElemType() : 0;
    }

    private static boolean hasHalves(AttributeProto attribute) {
        return (attribute.hasT() && HALVES.contains(attribute.getT().getDataType()))
                || namesHalf(attribute)
                || (attribute.hasG() && hasHalves(attribute.getG()))
                || attribute.getGraphsList().stream().anyMatch(Float32Form::hasHalves);
    }

    private static boolean namesHalf(AttributeProto attribute) {
        return TYPES.contains(attribute.getName())
                && attribute.getType() == AttributeProto.AttributeType.INT
                && HALVES.contains((int) attribute.getI());
    }

    private void convert(GraphProto.Builder graph) {
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            if (HALVES.contains(graph.getInitializer(i).getDataType())) {
                graph.setInitializer(i, floats(graph.getInitializer(i)));
            }
        }
        graph.getInputBuilderList().forEach(Float32Form::convert);
        graph.getOutputBuilderList().forEach(Float32Form::convert);
        graph.getValueInfoBuilderList().forEach(Float32Form::convert);
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            for (AttributeProto.Builder attribute : node.getAttributeBuilderList()) {
                if (hasHalves(attribute.build())) {
                    convert(attribute);
                }
            }
        }
    }

    private static void convert(ValueInfoProto.Builder value) {
        if (HALVES.contains(elementType(value.getType()))) {
            value.getTypeBuilder().getTensorTypeBuilder().setElemType(FLOAT);
        }
    }

    private void convert(AttributeProto.Builder attribute) {
        if (attribute.hasT() && HALVES.contains(attribute.getT().getDataType())) {
            attribute.setT(floats(attribute.getT()));
        }
        if (namesHalf(attribute.build())) {
            attribute.setI(FLOAT);
        }
        if (attribute.hasG()) {
            convert(attribute.getGBuilder());
        }
        attribute.getGraphsBuilderList().forEach(this::convert);
    }

    private TensorProto floats(TensorProto halves) {
        TensorProto loaded = external.load(halves);
        TensorProto.Builder empty =
                loaded.toBuilder().clearRawData().clearInt32Data().setDataType(FLOAT);
        return StoredTensor.with(empty.build(), StoredTensor.floats(loaded));
    }
}
