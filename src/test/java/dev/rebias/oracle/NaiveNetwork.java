package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Evaluates an ONNX model in double precision, node after node. */
final class NaiveNetwork {
    /** Sees every node's output before anything uses it, and may replace it; the parts of a Split it does not see. */
    @FunctionalInterface
    interface Hook {
        NaiveTensor after(NodeProto node, NaiveTensor output, Map<String, NaiveTensor> tensors);
    }

    private final ModelProto model;
    private final long opset;

    NaiveNetwork(ModelProto model) {
        this.model = model;
        this.opset = model.getOpsetImportList().stream()
                .filter(o -> o.getDomain().isEmpty() || o.getDomain().equals("ai.onnx"))
                .mapToLong(OperatorSetIdProto::getVersion)
                .findFirst()
                .orElseThrow();
    }

    /** All tensors by name. */
    Map<String, NaiveTensor> run(Map<String, NaiveTensor> inputs) {
        return run(inputs, (node, output, tensors) -> output);
    }

    /** The tensors that depend on no input. */
    Map<String, NaiveTensor> constants() {
        return evaluate(Map.of(), (node, output, tensors) -> output, true);
    }

    /** All tensors by name. */
    Map<String, NaiveTensor> run(Map<String, NaiveTensor> inputs, Hook hook) {
        return evaluate(inputs, hook, false);
    }

    private Map<String, NaiveTensor> evaluate(Map<String, NaiveTensor> inputs, Hook hook, boolean onlyKnown) {
        Map<String, NaiveTensor> tensors = new HashMap<>();
        for (TensorProto t : model.getGraph().getInitializerList()) {
            tensors.put(t.getName(), NaiveTensor.of(t));
        }
        tensors.putAll(inputs);
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (onlyKnown && node.getInputList().stream().anyMatch(i -> !i.isEmpty() && !tensors.containsKey(i))) {
                continue;
            }
            List<NaiveTensor> in = new ArrayList<>();
            for (String name : node.getInputList()) {
                in.add(
                        name.isEmpty()
                                ? null
                                : Optional.ofNullable(tensors.get(name))
                                        .orElseThrow(() -> new IllegalArgumentException(name)));
            }
            if (node.getOpType().equals("Split")) {
                List<NaiveTensor> parts = NaiveShapes.split(node, in);
                for (int i = 0; i < parts.size(); i++) {
                    tensors.put(node.getOutput(i), parts.get(i));
                }
            } else {
                tensors.put(node.getOutput(0), hook.after(node, run(node, in), tensors));
            }
        }
        return tensors;
    }

    private NaiveTensor run(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.isEmpty() ? null : in.get(0);
        return switch (node.getOpType()) {
            case "Conv", "ConvTranspose", "Gemm", "MatMul" ->
                NaiveLayers.run(node, x, in.get(1), in.size() > 2 ? in.get(2) : null);
            case "Constant" -> constant(node);
            case "Identity", "Dropout" -> x;
            case "Cast" -> NaiveOps.cast(x, DataType.forNumber((int) integer(node, "to", 1)));
            case "Relu",
                    "LeakyRelu",
                    "HardSigmoid",
                    "HardSwish",
                    "Sigmoid",
                    "Tanh",
                    "Erf",
                    "Exp",
                    "Log",
                    "Sqrt",
                    "Reciprocal",
                    "Floor",
                    "Ceil",
                    "Round",
                    "Neg",
                    "Abs",
                    "Not" -> NaiveOps.unary(node, x);
            case "Add",
                    "Sub",
                    "Mul",
                    "Div",
                    "Pow",
                    "Min",
                    "Max",
                    "Equal",
                    "Less",
                    "LessOrEqual",
                    "Greater",
                    "GreaterOrEqual",
                    "And",
                    "Or" -> NaiveOps.binary(node, in);
            case "Where" -> NaiveOps.where(x, in.get(1), in.get(2));
            case "Clip" -> NaiveOps.clip(node, in);
            case "Softmax" -> NaiveOps.softmax(node, x, opset);
            case "BatchNormalization" -> NaiveOps.batchNormalization(node, in);
            case "LayerNormalization" -> NaiveOps.layerNormalization(node, in);
            case "QuantizeLinear" -> NaiveQuantizers.quantize(node, in);
            case "DequantizeLinear" -> NaiveQuantizers.dequantize(node, in);
            case "GlobalAveragePool", "GlobalMaxPool" -> NaivePooling.global(node, x);
            case "MaxPool", "AveragePool" -> NaivePooling.pool(node, x);
            case "ReduceMean", "ReduceSum", "ReduceMax" -> NaivePooling.reduce(node, in);
            case "Resize", "Upsample" -> NaivePooling.resize(node, in, opset);
            case "Concat" -> NaiveShapes.concat(in, (int) integer(node, "axis", 0));
            case "Transpose" -> NaiveShapes.transpose(node, x);
            case "Shape" -> {
                NaiveTensor shape = NaiveTensor.integers(x.shape());
                int start = (int) integer(node, "start", 0);
                yield NaiveShapes.slice(shape, 0, start, (int) integer(node, "end", x.rank()), 1);
            }
            case "Flatten" -> NaiveShapes.flatten(node, x);
            case "Reshape" -> NaiveShapes.reshape(node, x, in.get(1).toInts());
            case "Squeeze" -> NaiveShapes.squeeze(node, in);
            case "Unsqueeze" -> NaiveShapes.unsqueeze(node, in);
            case "Slice" -> NaiveShapes.slice(node, in);
            case "Gather" -> NaiveShapes.gather(x, in.get(1), (int) integer(node, "axis", 0));
            case "Expand" -> NaiveShapes.expand(x, in.get(1).toInts());
            case "Range" -> NaiveShapes.range(x, in.get(1), in.get(2));
            case "ConstantOfShape" -> NaiveShapes.constantOfShape(node, x.toInts());
            case "Pad" -> NaiveShapes.pad(node, in);
            default -> throw new IllegalArgumentException("the oracle does not know " + node.getOpType());
        };
    }

    private static NaiveTensor constant(NodeProto node) {
        AttributeProto a = node.getAttribute(0);
        return switch (a.getName()) {
            case "value" -> NaiveTensor.of(a.getT());
            case "value_float" -> new NaiveTensor(new double[] {a.getF()});
            case "value_floats" -> {
                double[] v = a.getFloatsList().stream()
                        .mapToDouble(Float::doubleValue)
                        .toArray();
                yield new NaiveTensor(v, v.length);
            }
            case "value_int" -> new NaiveTensor(DataType.INT64, new double[] {a.getI()});
            case "value_ints" -> NaiveTensor.integers(ints(node, "value_ints"));
            default -> throw new IllegalArgumentException("Constant with " + a.getName());
        };
    }

    static Optional<AttributeProto> find(NodeProto node, String name) {
        return node.getAttributeList().stream()
                .filter(a -> a.getName().equals(name))
                .findFirst();
    }

    static long integer(NodeProto node, String name, long otherwise) {
        return find(node, name).map(AttributeProto::getI).orElse(otherwise);
    }

    static double real(NodeProto node, String name, float otherwise) {
        return find(node, name).map(AttributeProto::getF).orElse(otherwise);
    }

    static String text(NodeProto node, String name, String otherwise) {
        return find(node, name).map(a -> a.getS().toStringUtf8()).orElse(otherwise);
    }

    static int[] ints(NodeProto node, String name, int[] otherwise) {
        return find(node, name)
                .map(a -> a.getIntsList().stream().mapToInt(Long::intValue).toArray())
                .orElse(otherwise);
    }

    /** A list that the specification demands. */
    static int[] ints(NodeProto node, String name) {
        return Optional.ofNullable(ints(node, name, null))
                .orElseThrow(() -> new IllegalArgumentException(node.getName() + " lacks " + name));
    }
}
