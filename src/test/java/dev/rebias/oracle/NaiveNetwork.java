package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Evaluates an ONNX model in double precision, node after node. */
final class NaiveNetwork {
    /** Sees every node's output before anything uses it, and may replace it. */
    @FunctionalInterface
    interface Hook {
        NaiveTensor after(NodeProto node, NaiveTensor output, Map<String, NaiveTensor> tensors);
    }

    private final ModelProto model;
    private final long opset;

    NaiveNetwork(ModelProto model) {
        this.model = model;
        this.opset = model.getOpsetImport(0).getVersion();
    }

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
                split(node, in, tensors);
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
            case "Constant" -> NaiveTensor.of(find(node, "value").orElseThrow().getT());
            case "Identity" -> x;
            // Integers stay integers here only if the cast truncates.
            case "Cast" -> integer(node, "to", 1) == 1 ? x : NaiveOps.map(x, v -> v < 0 ? Math.ceil(v) : Math.floor(v));
            case "Relu" -> NaiveOps.map(x, v -> Math.max(0, v));
            case "Sigmoid" -> NaiveOps.map(x, v -> 1 / (1 + Math.exp(-v)));
            case "Tanh" -> NaiveOps.map(x, Math::tanh);
            case "Sqrt" -> NaiveOps.map(x, Math::sqrt);
            case "HardSigmoid" ->
                NaiveOps.map(
                        x, v -> Math.max(0, Math.min(1, real(node, "alpha", 0.2f) * v + real(node, "beta", 0.5f))));
            case "Clip" ->
                NaiveOps.map(
                        x,
                        v -> Math.max(in.get(1).values()[0], Math.min(in.get(2).values()[0], v)));
            case "Add" -> NaiveOps.binary(x, in.get(1), Double::sum);
            case "Sub" -> NaiveOps.binary(x, in.get(1), (a, b) -> a - b);
            case "Mul" -> NaiveOps.binary(x, in.get(1), (a, b) -> a * b);
            case "Div" -> NaiveOps.binary(x, in.get(1), (a, b) -> a / b);
            case "Pow" -> NaiveOps.binary(x, in.get(1), Math::pow);
            case "BatchNormalization" -> batchNormalization(node, in);
            case "QuantizeLinear" -> quantize(node, in);
            case "DequantizeLinear" -> dequantize(node, in);
            case "GlobalAveragePool" -> {
                NaiveTensor flat = NaiveOps.mean(x.reshape(x.shape()[0], x.shape()[1], x.span(2, x.rank())), 2);
                int[] shape = x.shape().clone();
                Arrays.fill(shape, 2, shape.length, 1);
                yield flat.reshape(shape);
            }
            case "MaxPool" -> NaiveOps.pool(node, x, true);
            case "AveragePool" -> NaiveOps.pool(node, x, false);
            case "Resize" -> NaiveOps.resize(node, x, in.get(2).values());
            case "Softmax" -> NaiveOps.softmax(x, (int) integer(node, "axis", -1));
            case "ReduceMean" -> NaiveOps.mean(x, ints(node, "axes", null)[0]);
            case "Concat" -> NaiveOps.concat(in, (int) integer(node, "axis", 0));
            case "Transpose" -> NaiveOps.transpose(x, ints(node, "perm", null));
            case "Shape" ->
                new NaiveTensor(Arrays.stream(x.shape()).asDoubleStream().toArray(), x.rank());
            case "Flatten" -> x.reshape(x.shape()[0], x.span(1, x.rank()));
            case "Reshape" -> reshape(x, in.get(1).toInts());
            case "Squeeze" ->
                squeeze(x, opset < 13 ? ints(node, "axes", null) : in.get(1).toInts());
            case "Slice" -> slice(in);
            default -> throw new IllegalArgumentException("the oracle does not know " + node.getOpType());
        };
    }

    private static NaiveTensor reshape(NaiveTensor x, int[] wanted) {
        int[] shape = wanted.clone();
        int open = -1;
        int known = 1;
        for (int d = 0; d < shape.length; d++) {
            shape[d] = shape[d] == 0 ? x.shape()[d] : shape[d];
            open = shape[d] < 0 ? d : open;
            known *= shape[d] < 0 ? 1 : shape[d];
        }
        if (open >= 0) {
            shape[open] = x.values().length / known;
        }
        return x.reshape(shape);
    }

    private static NaiveTensor squeeze(NaiveTensor x, int[] axes) {
        List<Integer> shape = new ArrayList<>();
        for (int d = 0; d < x.rank(); d++) {
            int axis = d;
            if (Arrays.stream(axes).noneMatch(a -> (a < 0 ? a + x.rank() : a) == axis)) {
                shape.add(x.shape()[d]);
            }
        }
        return x.reshape(shape.stream().mapToInt(Integer::intValue).toArray());
    }

    private static NaiveTensor slice(List<NaiveTensor> in) {
        NaiveTensor y = in.get(0);
        int[] starts = in.get(1).toInts();
        int[] ends = in.get(2).toInts();
        for (int i = 0; i < starts.length; i++) {
            int axis = in.size() > 3 ? in.get(3).toInts()[i] : i;
            int step = in.size() > 4 ? in.get(4).toInts()[i] : 1;
            y = NaiveOps.slice(y, axis, starts[i], ends[i], step);
        }
        return y;
    }

    private static void split(NodeProto node, List<NaiveTensor> in, Map<String, NaiveTensor> tensors) {
        int axis = (int) integer(node, "axis", 0);
        int[] sizes = in.get(1).toInts();
        int at = 0;
        for (int i = 0; i < sizes.length; i++) {
            tensors.put(node.getOutput(i), NaiveOps.slice(in.get(0), axis, at, at + sizes[i], 1));
            at += sizes[i];
        }
    }

    static NaiveTensor batchNormalization(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        double epsilon = real(node, "epsilon", 1e-5f);
        NaiveTensor y = NaiveTensor.zeros(x.shape());
        int inner = x.span(2, x.rank());
        for (int i = 0; i < x.values().length; i++) {
            int c = i / inner % x.shape()[1];
            double normal = (x.values()[i] - in.get(3).values()[c])
                    / Math.sqrt(in.get(4).values()[c] + epsilon);
            y.values()[i] = in.get(1).values()[c] * normal + in.get(2).values()[c];
        }
        return y;
    }

    private NaiveTensor quantize(NodeProto node, List<NaiveTensor> in) {
        // The type of the result is the zero point's.
        boolean unsigned = typeOf(node.getInput(2)) == 2;
        NaiveTensor y = NaiveTensor.zeros(in.get(0).shape());
        for (int i = 0; i < y.values().length; i++) {
            int c = channel(node, in.get(0), in.get(1), i);
            double q = Math.rint(in.get(0).values()[i] / in.get(1).values()[c])
                    + in.get(2).values()[c];
            y.values()[i] = unsigned ? Math.max(0, Math.min(255, q)) : Math.max(-128, Math.min(127, q));
        }
        return y;
    }

    private NaiveTensor dequantize(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor y = NaiveTensor.zeros(in.get(0).shape());
        for (int i = 0; i < y.values().length; i++) {
            int c = channel(node, in.get(0), in.get(1), i);
            double zero = in.size() > 2 ? in.get(2).values()[c] : 0;
            y.values()[i] = (in.get(0).values()[i] - zero) * in.get(1).values()[c];
        }
        return y;
    }

    private static int channel(NodeProto node, NaiveTensor x, NaiveTensor scale, int i) {
        if (scale.values().length == 1) {
            return 0;
        }
        int axis = (int) integer(node, "axis", 1);
        int a = axis < 0 ? axis + x.rank() : axis;
        return i / x.span(a + 1, x.rank()) % x.shape()[a];
    }

    private int typeOf(String stored) {
        return model.getGraph().getInitializerList().stream()
                .filter(t -> t.getName().equals(stored))
                .mapToInt(TensorProto::getDataType)
                .findFirst()
                .orElseThrow();
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
}
