package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Random;

/** Builds small ONNX graphs; weights are drawn from a seeded normal distribution. */
final class GraphBuilder {
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("toy");
    private final Random random;
    private int opset = 13;

    GraphBuilder(long seed) {
        this.random = new Random(seed);
    }

    GraphBuilder opset(int version) {
        opset = version;
        return this;
    }

    /** A float input of shape [N, dims..]. */
    String input(String name, int... dims) {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("N"));
        for (int d : dims) {
            shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(d));
        }
        graph.addInput(ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(
                                TypeProto.Tensor.newBuilder().setElemType(1).setShape(shape))));
        return name;
    }

    /** An initializer of random floats around zero. */
    String weights(String name, double deviation, int... dims) {
        graph.addInitializer(noise(deviation, dims).setName(name));
        return name;
    }

    /** A Constant node of random floats around zero, as Paddle's exporter writes all weights. */
    String constant(String name, double deviation, int... dims) {
        return constant(name, noise(deviation, dims).build());
    }

    /** A Constant node. */
    String constant(String name, TensorProto value) {
        return node(
                "Constant",
                name,
                List.of(),
                AttributeProto.newBuilder()
                        .setName("value")
                        .setType(AttributeProto.AttributeType.TENSOR)
                        .setT(value)
                        .build());
    }

    private TensorProto.Builder noise(double deviation, int... dims) {
        TensorProto.Builder t = TensorProto.newBuilder().setDataType(1);
        for (int d : dims) {
            t.addDims(d);
        }
        for (int i = 0; i < NaiveTensor.size(dims); i++) {
            t.addFloatData((float) (random.nextGaussian() * deviation));
        }
        return t;
    }

    /** An initializer of given floats. */
    String floats(String name, int[] dims, float... values) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(1);
        for (int d : dims) {
            t.addDims(d);
        }
        for (float v : values) {
            t.addFloatData(v);
        }
        graph.addInitializer(t);
        return name;
    }

    /** An initializer. */
    String tensor(TensorProto tensor) {
        graph.addInitializer(tensor);
        return tensor.getName();
    }

    /** An initializer of positive random floats. */
    String positive(String name, int n) {
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(name).setDataType(1).addDims(n);
        for (int i = 0; i < n; i++) {
            t.addFloatData(0.5f + random.nextFloat());
        }
        graph.addInitializer(t);
        return name;
    }

    String integers(String name, long... values) {
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(name).setDataType(7).addDims(values.length);
        for (long v : values) {
            t.addInt64Data(v);
        }
        graph.addInitializer(t);
        return name;
    }

    /** A node named as its output. */
    String node(String type, String output, List<String> inputs, AttributeProto... attributes) {
        return node("", type, output, inputs, attributes);
    }

    /** A node of an operator of some domain, named as its output. */
    String node(String domain, String type, String output, List<String> inputs, AttributeProto... attributes) {
        NodeProto.Builder node = NodeProto.newBuilder()
                .setOpType(type)
                .setName(output + "_node")
                .addAllInput(inputs)
                .addOutput(output)
                .addAllAttribute(List.of(attributes));
        graph.addNode(domain.isEmpty() ? node : node.setDomain(domain));
        return output;
    }

    void split(String input, String sizes, int axis, String... outputs) {
        graph.addNode(NodeProto.newBuilder()
                .setOpType("Split")
                .setName("split_node")
                .addInput(input)
                .addInput(sizes)
                .addAllOutput(List.of(outputs))
                .addAttribute(integer("axis", axis)));
    }

    /** A Split whose sizes are an attribute, as before opset 13. */
    void splitByAttribute(String input, int axis, AttributeProto sizes, String... outputs) {
        graph.addNode(NodeProto.newBuilder()
                .setOpType("Split")
                .setName("split_node")
                .addInput(input)
                .addAllOutput(List.of(outputs))
                .addAttribute(integer("axis", axis))
                .addAttribute(sizes));
    }

    static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    static AttributeProto real(String name, float value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.FLOAT)
                .setF(value)
                .build();
    }

    static AttributeProto list(String name, long... values) {
        AttributeProto.Builder a = AttributeProto.newBuilder().setName(name).setType(AttributeProto.AttributeType.INTS);
        for (long v : values) {
            a.addInts(v);
        }
        return a.build();
    }

    static AttributeProto text(String name, String value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.STRING)
                .setS(ByteString.copyFromUtf8(value))
                .build();
    }

    ModelProto build(String... outputs) {
        for (String output : outputs) {
            graph.addOutput(ValueInfoProto.newBuilder()
                    .setName(output)
                    .setType(TypeProto.newBuilder()
                            .setTensorType(TypeProto.Tensor.newBuilder().setElemType(1))));
        }
        return ModelProto.newBuilder()
                .setIrVersion(opset > 18 ? 10 : 7)
                .setProducerName("toy")
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(opset))
                .setGraph(graph)
                .build();
    }
}
