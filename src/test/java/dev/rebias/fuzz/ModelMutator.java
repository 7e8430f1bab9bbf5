package dev.rebias.fuzz;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * One way of making a model wrong, or legal and unusual. The same random numbers do the same to two models that have
 * the same names.
 */
final class ModelMutator {
    private static final long[] NASTY = {
        0,
        1,
        -1,
        2,
        -2,
        3,
        4,
        5,
        -7,
        16,
        100,
        -100,
        1000,
        65_536,
        1_000_000,
        1 << 24,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        1L << 31,
        1L << 32,
        (1L << 32) + 1,
        Long.MAX_VALUE,
        Long.MIN_VALUE
    };

    private static final String[] INTEGERS = {
        "strides", "pads", "dilations", "kernel_shape", "perm", "output_shape", "output_padding", "axes", "split"
    };

    private static final String[] SINGLE = {
        "group",
        "axis",
        "ceil_mode",
        "transA",
        "transB",
        "to",
        "keepdims",
        "blocksize",
        "count_include_pad",
        "storage_order",
        "block_size",
        "allowzero",
        "noop_with_empty_axes",
        "unknown",
        "output_dtype",
        "saturate"
    };

    private static final String[] TEXTS = {"auto_pad", "mode", "coordinate_transformation_mode", "nearest_mode"};

    private static final String[] WORDS = {
        "SAME_UPPER",
        "SAME_LOWER",
        "VALID",
        "NOTSET",
        "",
        "reflect",
        "edge",
        "wrap",
        "constant",
        "linear",
        "cubic",
        "align_corners",
        "tf_crop_and_resize",
        "%s%n"
    };

    static final String[] TYPES = {
        "Relu",
        "Sigmoid",
        "Softmax",
        "LogSoftmax",
        "Transpose",
        "Identity",
        "Flatten",
        "Conv",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "Add",
        "Mul",
        "Sub",
        "Div",
        "Max",
        "Min",
        "Sum",
        "Pow",
        "Concat",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "ReduceMean",
        "ReduceSum",
        "ArgMax",
        "Cast",
        "Clip",
        "PRelu",
        "BatchNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "QuantizeLinear",
        "DequantizeLinear",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Pad",
        "Resize",
        "Upsample",
        "Tile",
        "Expand",
        "Gather",
        "GatherElements",
        "Split",
        "Where",
        "Shape",
        "Size",
        "DepthToSpace",
        "SpaceToDepth",
        "LRN",
        "Dropout",
        "HardSwish",
        "Erf",
        "Elu",
        "Neg",
        "Equal",
        "Not",
        "ConstantOfShape",
        "Range",
        "NonZero",
        "TopK",
        "CumSum",
        "OneHot",
        "Einsum",
        "LSTM",
        "Scan",
        "If",
        "Loop"
    };

    private final RandomGenerator random;
    private final GraphProto.Builder graph;
    private final ModelProto.Builder model;

    private ModelMutator(RandomGenerator random, ModelProto model) {
        this.random = random;
        this.model = model.toBuilder();
        this.graph = this.model.getGraphBuilder();
    }

    /** A model with one thing changed: mostly a node put in, else something of what is there. */
    static ModelProto mutate(RandomGenerator random, ModelProto model, int number, Set<String> shared) {
        ModelMutator mutator = new ModelMutator(random, model);
        mutator.change(number, shared);
        return mutator.model.build();
    }

    private void change(int number, Set<String> shared) {
        switch (random.nextInt(16)) {
            case 0, 1, 2, 3, 4, 5, 6, 7 -> insert(number, shared);
            case 8, 9 -> attribute(shared);
            case 10 -> tensor();
            case 11, 12 -> edges();
            case 13 -> declarations();
            case 14 -> rename();
            default -> version();
        }
    }

    private long nasty() {
        return NASTY[random.nextInt(NASTY.length)];
    }

    /** Small mostly, so that what comes of it may be legal. */
    private long small() {
        return random.nextInt(15) == 0 ? nasty() : random.nextInt(-1, 4);
    }

    private long[] list() {
        long[] values = new long[random.nextInt(8) == 0 ? random.nextInt(9) : 4];
        for (int i = 0; i < values.length; i++) {
            values[i] = small();
        }
        return values;
    }

    private static <T> T pick(RandomGenerator random, List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    /** A node that both models have, if there is one. */
    private NodeProto.Builder node(Set<String> shared) {
        List<String> outputs = List.copyOf(new TreeSet<>(shared));
        String wanted = outputs.isEmpty() ? "" : pick(random, outputs);
        for (NodeProto.Builder node : graph.getNodeBuilderList()) {
            if (node.getOutputList().contains(wanted)) {
                return node;
            }
        }
        return graph.getNodeBuilder(random.nextInt(graph.getNodeCount()));
    }

    private void attribute(Set<String> shared) {
        NodeProto.Builder node = node(shared);
        int kind = random.nextInt(10);
        if (kind < 3 && node.getAttributeCount() > 0) {
            AttributeProto.Builder attribute = node.getAttributeBuilder(random.nextInt(node.getAttributeCount()));
            if (attribute.getIntsCount() > 0 && kind < 2) {
                attribute.setInts(random.nextInt(attribute.getIntsCount()), nasty());
            } else if (random.nextInt(3) > 0) {
                attribute.setI(nasty()).setF(random.nextInt(3) - 1 == 0 ? Float.NaN : 1e30f);
            } else {
                node.removeAttribute(random.nextInt(node.getAttributeCount()));
            }
            return;
        }
        AttributeProto attribute = someAttribute();
        for (int i = node.getAttributeCount() - 1; i >= 0 && random.nextInt(20) > 0; i--) {
            if (node.getAttribute(i).getName().equals(attribute.getName())) {
                node.removeAttribute(i);
            }
        }
        node.addAttribute(attribute);
    }

    private AttributeProto someAttribute() {
        return switch (random.nextInt(8)) {
            case 0, 1, 2, 3 -> ints(INTEGERS[random.nextInt(INTEGERS.length)], list());
            case 4, 5 -> integer(SINGLE[random.nextInt(SINGLE.length)], small());
            case 6 -> text(TEXTS[random.nextInt(TEXTS.length)], WORDS[random.nextInt(WORDS.length)]);
            default ->
                AttributeProto.newBuilder()
                        .setName(INTEGERS[random.nextInt(INTEGERS.length)])
                        .setType(AttributeType.forNumber(random.nextInt(11)))
                        .setI(nasty())
                        .setF(1.5f)
                        .build();
        };
    }

    private static AttributeProto ints(String name, long... values) {
        AttributeProto.Builder attribute =
                AttributeProto.newBuilder().setName(name).setType(AttributeType.INTS);
        for (long v : values) {
            attribute.addInts(v);
        }
        return attribute.build();
    }

    private static AttributeProto integer(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.INT)
                .setI(value)
                .build();
    }

    private static AttributeProto text(String name, String value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.STRING)
                .setS(ByteString.copyFromUtf8(value))
                .build();
    }

    private String constant(String name, long... values) {
        TensorProto.Builder t =
                TensorProto.newBuilder().setName(name).setDataType(7).addDims(values.length);
        for (long v : values) {
            t.addInt64Data(v);
        }
        graph.addInitializer(t);
        return name;
    }

    private String floats(String name, long... dims) {
        TensorProto.Builder t = TensorProto.newBuilder().setName(name).setDataType(1);
        long n = 1;
        for (long d : dims) {
            t.addDims(d);
            n *= d;
        }
        for (long i = 0; i < n; i++) {
            t.addFloatData((float) random.nextGaussian());
        }
        graph.addInitializer(t);
        return name;
    }

    /** Puts a node behind a tensor: everyone who used that uses what the node makes. */
    private void insert(int number, Set<String> shared) {
        List<String> tensors = new ArrayList<>(new TreeSet<>(shared));
        graph.getInputList().forEach(i -> tensors.add(i.getName()));
        String tensor = pick(random, tensors);
        String name = tensor + "_ins" + number;
        int at = 0;
        for (int i = 0; i < graph.getNodeCount(); i++) {
            NodeProto.Builder node = graph.getNodeBuilder(i);
            if (node.getOutputList().contains(tensor)) {
                at = i + 1;
            }
            for (int k = 0; k < node.getInputCount(); k++) {
                if (node.getInput(k).equals(tensor)) {
                    node.setInput(k, name);
                }
            }
        }
        NodeProto.Builder node =
                NodeProto.newBuilder().setName(name).addInput(tensor).addOutput(name);
        fill(node, name, tensor);
        if (random.nextInt(12) == 0) {
            node.addAttribute(someAttribute());
        }
        if (random.nextInt(25) == 0) {
            node.addInput(random.nextBoolean() ? "" : tensor);
        }
        graph.addNode(at, node);
    }

    private void fill(NodeProto.Builder node, String name, String tensor) {
        switch (random.nextInt(60)) {
            case 0 -> node.setOpType("Transpose").addAttribute(ints("perm", permutation()));
            case 1 -> {
                node.setOpType("Concat").addInput(tensor).addAttribute(integer("axis", small()));
                if (random.nextBoolean()) {
                    node.addInput(floats(name + "_c", dims()));
                }
            }
            case 2 -> {
                node.setOpType("Resize").addInput("");
                if (random.nextBoolean()) {
                    TensorProto.Builder scales =
                            TensorProto.newBuilder().setName(name + "_s").setDataType(1);
                    int n = random.nextInt(4) == 0 ? random.nextInt(6) : 4;
                    for (int i = 0; i < n; i++) {
                        scales.addFloatData(i < 2 ? 1 : new float[] {1, 2, 0.5f, 1.7f, 0, -1, 1e9f}[random.nextInt(7)]);
                    }
                    graph.addInitializer(scales.addDims(n));
                    node.addInput(name + "_s");
                } else {
                    node.addInput("").addInput(constant(name + "_z", list()));
                }
                node.addAttribute(text("mode", random.nextBoolean() ? "nearest" : "linear"));
            }
            case 3 -> {
                node.setOpType("Pad").addInput(constant(name + "_p", pads()));
                if (random.nextBoolean()) {
                    node.addInput(floats(name + "_v", random.nextInt(4) == 0 ? new long[] {0} : new long[0]));
                }
                node.addAttribute(text(
                        "mode", List.of("constant", "reflect", "edge", "wrap").get(random.nextInt(4))));
            }
            case 4 ->
                node.setOpType("Slice")
                        .addInput(constant(name + "_b", small(), small()))
                        .addInput(constant(name + "_e", nasty(), nasty()))
                        .addInput(constant(name + "_a", random.nextInt(4), small()))
                        .addInput(constant(name + "_t", small(), nasty()));
            case 5 ->
                node.setOpType(random.nextBoolean() ? "Gather" : "GatherElements")
                        .addInput(constant(name + "_i", small(), small(), small()))
                        .addAttribute(integer("axis", small()));
            case 6 -> node.setOpType("Cast").addAttribute(integer("to", random.nextInt(18)));
            case 7 -> node.setOpType("Reshape").addInput(constant(name + "_s", list()));
            case 8 -> node.setOpType("Flatten").addAttribute(integer("axis", small()));
            case 9 ->
                node.setOpType(random.nextBoolean() ? "Unsqueeze" : "Squeeze").addInput(constant(name + "_a", small()));
            case 10 -> node.setOpType("Expand").addInput(constant(name + "_s", list()));
            case 11 -> {
                node.setOpType(random.nextBoolean() ? "MaxPool" : "AveragePool")
                        .addAttribute(ints("kernel_shape", 1 + random.nextInt(3), 1 + random.nextInt(3)));
                if (random.nextBoolean()) {
                    node.addAttribute(ints("strides", small(), small()));
                }
                if (random.nextBoolean()) {
                    node.addAttribute(ints("pads", list()));
                }
                if (random.nextBoolean()) {
                    node.addAttribute(integer("ceil_mode", 1));
                }
            }
            case 12 ->
                node.setOpType(List.of("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2")
                                .get(random.nextInt(4)))
                        .addAttribute(ints("axes", small(), small()))
                        .addAttribute(integer("keepdims", random.nextInt(2)));
            case 13 -> node.setOpType("ReduceSum").addInput(constant(name + "_a", small(), small()));
            case 14 ->
                node.setOpType(random.nextBoolean() ? "Softmax" : "LogSoftmax").addAttribute(integer("axis", small()));
            case 15 -> {
                node.setOpType("ConvTranspose")
                        .addInput(floats(name + "_w", 1 + random.nextInt(5), 1 + random.nextInt(4), 2, 2))
                        .addAttribute(ints("strides", 1 + random.nextInt(3), 2))
                        .addAttribute(integer("group", random.nextInt(4) == 0 ? nasty() : 1));
                if (random.nextBoolean()) {
                    node.addAttribute(ints("output_shape", small() * 5, 11));
                } else {
                    node.addAttribute(ints("output_padding", small(), small()));
                }
            }
            case 16 -> node.setOpType("Tile").addInput(constant(name + "_r", list()));
            case 17 -> {
                node.setOpType("Split").addAttribute(integer("axis", small()));
                if (random.nextBoolean()) {
                    node.addInput(constant(name + "_s", small(), small()));
                }
                node.addOutput(name + "_2");
            }
            case 18 -> node.setOpType("ArgMax").addAttribute(integer("axis", small()));
            case 19 ->
                node.setOpType("LayerNormalization")
                        .addInput(floats(name + "_s", dims()))
                        .addAttribute(integer("axis", small()));
            case 20 ->
                node.setOpType("InstanceNormalization")
                        .addInput(floats(name + "_s", 1 + random.nextInt(6)))
                        .addInput(floats(name + "_b", 1 + random.nextInt(6)));
            case 21 -> node.setOpType("DepthToSpace").addAttribute(integer("blocksize", small()));
            case 22 -> {
                long n = 1L + random.nextInt(6);
                node.setOpType("BatchNormalization");
                for (String p : List.of("_s", "_b", "_m", "_v")) {
                    node.addInput(floats(name + p, random.nextInt(8) == 0 ? n + 1 : n));
                }
            }
            case 23 -> node.setOpType("PRelu").addInput(floats(name + "_s", dims()));
            case 24 ->
                node.setOpType("Clip")
                        .addInput(floats(name + "_l", random.nextInt(3) == 0 ? new long[] {2} : new long[0]))
                        .addInput("");
            case 25 ->
                node.setOpType(List.of("Add", "Mul", "Sub", "Div", "Max", "Pow").get(random.nextInt(6)))
                        .addInput(floats(name + "_o", dims()));
            case 26 -> node.setOpType("MatMul").addInput(floats(name + "_m", dims()));
            case 27 ->
                node.setOpType("Gemm")
                        .addInput(floats(name + "_m", 1 + random.nextInt(6), 1 + random.nextInt(6)))
                        .addAttribute(integer("transB", random.nextInt(2)));
            case 28 -> {
                node.setOpType("QuantizeLinear")
                        .addInput(floats(
                                name + "_s", random.nextBoolean() ? new long[0] : new long[] {random.nextInt(6)}));
                if (random.nextBoolean()) {
                    node.addAttribute(integer("axis", small()));
                }
            }
            case 29 -> node.setOpType("Where").addInput(tensor).addInput(tensor);
            case 30 -> node.setOpType("LRN").addAttribute(integer("size", small()));
            case 31 -> node.setOpType("Dropout").addInput("");
            case 33, 34 -> node.setOpType("Transpose").addAttribute(ints("perm", 0, 1, 3, 2));
            case 35, 36 -> {
                boolean three = random.nextBoolean();
                node.setOpType(random.nextBoolean() ? "MaxPool" : "AveragePool")
                        .addAttribute(ints("kernel_shape", three ? 3 : 2, 2))
                        .addAttribute(ints("strides", 1, 1 + random.nextInt(2)))
                        .addAttribute(ints("pads", random.nextInt(2), random.nextInt(2), random.nextInt(2), 1))
                        .addAttribute(integer("ceil_mode", random.nextInt(2)));
            }
            case 37, 38 -> {
                long[] pads = new long[8];
                for (int i = 2; i < 8; i++) {
                    pads[i] = i == 4 || i == 5 ? 0 : random.nextInt(-1, 4);
                }
                node.setOpType("Pad")
                        .addInput(constant(name + "_p", pads))
                        .addAttribute(text(
                                "mode", List.of("constant", "reflect", "edge").get(random.nextInt(3))));
            }
            case 39, 40 ->
                node.setOpType("Slice")
                        .addInput(constant(name + "_b", random.nextInt(-2, 3), random.nextInt(-3, 3)))
                        .addInput(constant(name + "_e", random.nextInt(-2, 6), nasty()))
                        .addInput(constant(name + "_a", 2, -1))
                        .addInput(constant(name + "_t", 1, random.nextInt(4) == 0 ? -1 : 2));
            case 41 -> {
                TensorProto.Builder scales = TensorProto.newBuilder()
                        .setName(name + "_s")
                        .setDataType(1)
                        .addDims(4);
                scales.addFloatData(1).addFloatData(1).addFloatData(2).addFloatData(random.nextBoolean() ? 2 : 0.5f);
                graph.addInitializer(scales);
                node.setOpType("Resize")
                        .addInput("")
                        .addInput(name + "_s")
                        .addAttribute(text("mode", random.nextBoolean() ? "nearest" : "linear"))
                        .addAttribute(text(
                                "coordinate_transformation_mode", random.nextBoolean() ? "asymmetric" : "half_pixel"));
            }
            case 42 -> node.setOpType("Concat").addInput(tensor).addAttribute(integer("axis", random.nextInt(2, 4)));
            case 43 -> node.setOpType("Softmax").addAttribute(integer("axis", random.nextInt(-4, 4)));
            case 44 -> node.setOpType("Tile").addInput(constant(name + "_r", 1, 1, 2, 1 + random.nextInt(2)));
            case 45 ->
                node.setOpType("Gather")
                        .addInput(constant(name + "_i", 0, random.nextInt(-2, 2)))
                        .addAttribute(integer("axis", random.nextInt(2, 4)));
            case 46 -> {
                node.setOpType("Split")
                        .addAttribute(integer("axis", random.nextInt(2, 4)))
                        .addOutput(name + "_2");
            }
            case 47 ->
                node.setOpType(List.of("Add", "Mul", "Sub", "Div", "Max", "Min").get(random.nextInt(6)))
                        .addInput(floats(name + "_o", random.nextBoolean() ? new long[0] : new long[] {1, 1, 1}));
            case 48 ->
                node.setOpType(List.of("ReduceMean", "ReduceMax", "ReduceL2").get(random.nextInt(3)))
                        .addAttribute(ints("axes", 2, 3));
            case 49 -> node.setOpType("LRN").addAttribute(integer("size", 3));
            case 50 -> node.setOpType("LayerNormalization").addInput(floats(name + "_s", 1));
            case 51 -> node.setOpType("ReduceSum").addInput(constant(name + "_a", random.nextInt(2, 4)));
            case 32 ->
                node.setOpType("Conv")
                        .addInput(floats(name + "_w", 1 + random.nextInt(5), 1 + random.nextInt(4), 3, 3))
                        .addAttribute(ints("pads", list()));
            default -> node.setOpType(TYPES[random.nextInt(TYPES.length)]);
        }
    }

    private long[] permutation() {
        return switch (random.nextInt(4)) {
            case 0 -> new long[] {0, 2, 3, 1};
            case 1 -> new long[] {0, 1, 3, 2};
            case 2 -> new long[] {1, 0};
            default -> list();
        };
    }

    private long[] dims() {
        return switch (random.nextInt(5)) {
            case 0 -> new long[0];
            case 1 -> new long[] {1 + random.nextInt(6)};
            case 2 -> new long[] {1, 1 + random.nextInt(6), 1, 1};
            case 3 -> new long[] {1 + random.nextInt(6), 1 + random.nextInt(6)};
            default -> {
                long[] dims = new long[random.nextInt(6)];
                for (int i = 0; i < dims.length; i++) {
                    dims[i] = random.nextInt(5);
                }
                yield dims;
            }
        };
    }

    private long[] pads() {
        long[] pads = new long[random.nextInt(6) == 0 ? random.nextInt(10) : 8];
        for (int i = 0; i < pads.length; i++) {
            pads[i] = i % 4 < 2 && random.nextInt(4) > 0 ? 0 : small();
        }
        return pads;
    }

    /** A stored tensor of another shape, type or content. */
    private void tensor() {
        if (graph.getInitializerCount() == 0) {
            return;
        }
        TensorProto.Builder t = graph.getInitializerBuilder(random.nextInt(graph.getInitializerCount()));
        switch (random.nextInt(7)) {
            case 0 -> t.addDims(small());
            case 1 -> {
                if (t.getDimsCount() > 0) {
                    t.setDims(random.nextInt(t.getDimsCount()), nasty());
                }
            }
            case 2 -> {
                List<Long> dims = new ArrayList<>(t.getDimsList());
                java.util.Collections.reverse(dims);
                t.clearDims().addAllDims(dims);
            }
            case 3 -> t.setDataType(random.nextInt(24));
            case 4 -> {
                if (t.hasRawData() && t.getRawData().size() > 0) {
                    t.setRawData(t.getRawData()
                            .substring(random.nextInt(t.getRawData().size())));
                } else if (t.getFloatDataCount() > 0) {
                    t.setFloatData(random.nextInt(t.getFloatDataCount()), Float.NaN);
                }
            }
            case 5 -> {
                if (t.getFloatDataCount() > 0) {
                    t.setFloatData(
                            random.nextInt(t.getFloatDataCount()),
                            new float[] {0, -1, Float.POSITIVE_INFINITY, 1e38f, 1e-40f}[random.nextInt(5)]);
                }
            }
            default -> t.setName(t.getName() + "x");
        }
    }

    private void edges() {
        int at = random.nextInt(graph.getNodeCount());
        NodeProto.Builder node = graph.getNodeBuilder(at);
        switch (random.nextInt(9)) {
            case 0 -> graph.removeNode(at);
            case 1 -> graph.addNode(at, node.build());
            case 2 -> {
                if (node.getInputCount() > 1) {
                    String first = node.getInput(0);
                    node.setInput(0, node.getInput(1)).setInput(1, first);
                }
            }
            case 3 -> node.addInput("").addInput("");
            case 4 -> {
                List<String> inputs = new ArrayList<>(node.getInputList());
                if (!inputs.isEmpty()) {
                    inputs.remove(random.nextInt(inputs.size()));
                    node.clearInput().addAllInput(inputs);
                }
            }
            case 5 -> node.addOutput(random.nextBoolean() ? node.getOutput(0) : "more");
            case 6 -> node.setOpType(TYPES[random.nextInt(TYPES.length)]);
            case 7 -> {
                if (node.getInputCount() > 0) {
                    NodeProto other = graph.getNode(random.nextInt(graph.getNodeCount()));
                    node.setInput(random.nextInt(node.getInputCount()), other.getOutput(0));
                }
            }
            default -> node.setDomain(random.nextBoolean() ? "com.microsoft" : "nobody");
        }
    }

    private void declarations() {
        ValueInfoProto.Builder declared = random.nextInt(4) > 0
                ? graph.getInputBuilder(random.nextInt(graph.getInputCount()))
                : graph.getOutputBuilder(random.nextInt(graph.getOutputCount()));
        TensorShapeProto.Builder shape =
                declared.getTypeBuilder().getTensorTypeBuilder().getShapeBuilder();
        switch (random.nextInt(5)) {
            case 0 -> declared.getTypeBuilder().getTensorTypeBuilder().setElemType(random.nextInt(20));
            case 1 -> shape.addDimBuilder().setDimValue(small());
            case 2 -> {
                if (shape.getDimCount() > 0) {
                    shape.getDimBuilder(random.nextInt(shape.getDimCount())).setDimValue(nasty());
                }
            }
            case 3 -> shape.clear();
            default -> declared.getTypeBuilder().clear();
        }
    }

    private void rename() {
        NodeProto.Builder node = graph.getNodeBuilder(random.nextInt(graph.getNodeCount()));
        String name = List.of("", "a\nb: c", "%d%s%n", "\u001b[31mred", "n".repeat(5000), "é日本", "\u0000")
                .get(random.nextInt(7));
        if (random.nextBoolean()) {
            node.setName(name);
        } else if (node.getOutputCount() > 0) {
            String old = node.getOutput(0);
            node.setOutput(0, name);
            for (NodeProto.Builder other : graph.getNodeBuilderList()) {
                for (int i = 0; i < other.getInputCount(); i++) {
                    if (other.getInput(i).equals(old)) {
                        other.setInput(i, name);
                    }
                }
            }
        }
    }

    private void version() {
        switch (random.nextInt(4)) {
            case 0, 1 -> model.getOpsetImportBuilder(0).setVersion(5 + random.nextInt(22));
            case 2 -> model.getOpsetImportBuilder(0).setVersion(nasty());
            default -> model.setIrVersion(random.nextInt(3) == 0 ? nasty() : random.nextInt(14));
        }
    }
}
