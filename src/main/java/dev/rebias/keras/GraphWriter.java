package dev.rebias.keras;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Tensors;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Puts an ONNX model together, node by node. */
final class GraphWriter {
    /** The first opset in which DequantizeLinear has an axis and all that is used here means what it means today. */
    private static final int OPSET = 13;

    private static final int IR_VERSION = 7;

    private final String file;
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("keras");
    private final Set<String> tensors = new HashSet<>();

    /**
     * An empty model.
     *
     * @param file the file that it is made from, for messages
     */
    GraphWriter(String file) {
        this.file = file;
    }

    /** Adds a node with one output, and returns that output's name. An input without a name is one left out. */
    String node(String op, String name, String output, List<String> inputs, AttributeProto... attributes) {
        take(output);
        graph.addNode(NodeProto.newBuilder()
                .setOpType(op)
                .setName(name)
                .addAllInput(inputs)
                .addOutput(output)
                .addAllAttribute(Arrays.asList(attributes)));
        return output;
    }

    /** The same, the node being named as its output, or where a node before has that name, by its operation too. */
    String node(String op, String output, List<String> inputs, AttributeProto... attributes) {
        boolean taken = graph.getNodeList().stream().anyMatch(n -> n.getName().equals(output));
        return node(op, taken ? output + "/" + op : output, output, inputs, attributes);
    }

    /** Notes a tensor's name, which no other may have. */
    private void take(String tensor) {
        if (!tensors.add(tensor)) {
            throw new UnsupportedException("a layer of '" + file + "' is named '" + tensor
                    + "', as rebias names a tensor within another layer: rename the layer");
        }
    }

    /** Whether a tensor is the output of a node of that type. */
    boolean makes(String op, String tensor) {
        return graph.getNodeList().stream()
                .anyMatch(n -> n.getOpType().equals(op) && n.getOutput(0).equals(tensor));
    }

    /** Adds an initializer, and returns its name. */
    String constant(String name, HostTensor value) {
        take(name);
        graph.addInitializer(Tensors.of(name, value));
        return name;
    }

    String scalar(String name, float value) {
        return constant(name, HostTensor.of(new float[] {value}));
    }

    /** Adds an input of type FLOAT; the samples' number is left open, and so is every size below 0. */
    String input(String name, long... shape) {
        take(name);
        graph.addInput(info(name, shape));
        return name;
    }

    void output(String name, long... shape) {
        graph.addOutput(info(name, shape));
    }

    private static ValueInfoProto info(String name, long[] shape) {
        TensorShapeProto.Builder dims = TensorShapeProto.newBuilder();
        dims.addDimBuilder().setDimParam("N");
        for (long d : shape) {
            TensorShapeProto.Dimension.Builder dim = dims.addDimBuilder();
            if (d > 0) {
                dim.setDimValue(d);
            }
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(ElementType.FLOAT.onnxCode())
                                .setShape(dims)))
                .build();
    }

    ModelProto model() {
        return ModelProto.newBuilder()
                .setIrVersion(IR_VERSION)
                .setProducerName("rebias")
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPSET))
                .setGraph(graph)
                .build();
    }
}
