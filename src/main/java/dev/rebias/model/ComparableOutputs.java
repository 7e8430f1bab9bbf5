package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A model whose outputs can be compared with a float model's: outputs that a quantiser makes are dequantised.
 *
 * @param bytes the serialised model, external data loaded
 * @param names the model's outputs as its file has them, in order
 * @param tensors under what names the serialised model gives them
 */
public record ComparableOutputs(byte[] bytes, List<String> names, List<String> tensors) {
    public ComparableOutputs {
        names = List.copyOf(names);
        tensors = List.copyOf(tensors);
    }

    /** Makes it from a model. */
    public static ComparableOutputs of(OnnxModel model) {
        ModelProto.Builder changed = model.computed().proto().toBuilder();
        GraphProto.Builder graph = changed.getGraphBuilder();
        Map<String, NodeProto> makers = new HashMap<>();
        graph.getNodeList().forEach(n -> n.getOutputList().forEach(o -> makers.put(o, n)));
        List<String> names = new ArrayList<>();
        List<String> tensors = new ArrayList<>();
        for (int i = 0; i < graph.getOutputCount(); i++) {
            String name = graph.getOutput(i).getName();
            names.add(name);
            NodeProto maker = makers.getOrDefault(name, NodeProto.getDefaultInstance());
            int scale = QOperators.outputScale(maker.getOpType());
            if (scale < 0 || !BiasSites.hasInput(maker, scale)) {
                tensors.add(name);
                continue;
            }
            String floats = name + "/dequantized";
            NodeProto.Builder dequantize = NodeProto.newBuilder()
                    .setOpType("DequantizeLinear")
                    .setName(floats)
                    .addInput(name)
                    .addInput(maker.getInput(scale))
                    .addOutput(floats);
            if (BiasSites.hasInput(maker, scale + 1)) {
                dequantize.addInput(maker.getInput(scale + 1));
            }
            if (maker.getOpType().equals("QuantizeLinear")) {
                dequantize
                        .setDomain(maker.getDomain())
                        .addAllAttribute(maker.getAttributeList().stream()
                                .filter(a -> a.getName().equals("axis"))
                                .toList());
            }
            graph.addNode(dequantize);
            graph.setOutput(i, ValueInfoProto.newBuilder().setName(floats));
            tensors.add(floats);
        }
        OnnxModel whole = new OnnxModel(model.name(), model.folder(), changed.build(), model.hints());
        return new ComparableOutputs(ProbedModel.withOutputs(whole, List.of()), names, tensors);
    }
}
