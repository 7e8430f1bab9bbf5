package dev.rebias.device.cpu.nodes;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.op.Tensors;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;

/**
 * Builds the small ONNX models that the CPU device hands to ONNX Runtime: one node (a MatMul with bias is two), its
 * constants inside.
 */
final class OneNodeModel {
    /**
     * The newest IR version in which all that is used here (initializers that are no inputs) means what it means today.
     */
    private static final int IR_VERSION = 8;

    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("node");
    private final List<OperatorSetIdProto> opsets;

    OneNodeModel(List<OperatorSetIdProto> opsets) {
        this.opsets = opsets;
    }

    static List<OperatorSetIdProto> opset(int version) {
        return List.of(OperatorSetIdProto.newBuilder().setVersion(version).build());
    }

    OneNodeModel node(NodeProto node) {
        graph.addNode(node);
        return this;
    }

    /** An input of any shape. */
    OneNodeModel input(String name, ElementType type) {
        graph.addInput(ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder().setElemType(type.onnxCode()))));
        return this;
    }

    OneNodeModel output(String name) {
        graph.addOutput(ValueInfoProto.newBuilder().setName(name));
        return this;
    }

    OneNodeModel constant(String name, HostTensor value) {
        graph.addInitializer(Tensors.of(name, value));
        return this;
    }

    byte[] serialise() {
        return ModelProto.newBuilder()
                .setIrVersion(IR_VERSION)
                .addAllOpsetImport(opsets)
                .setGraph(graph)
                .build()
                .toByteArray();
    }
}
