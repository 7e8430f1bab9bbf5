package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static dev.rebias.oracle.GraphBuilder.text;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import java.util.List;
import java.util.function.Consumer;

/** Graphs of one or a few operations each, in every form that the oracle knows; x is [N, 4, 7, 6]. */
record Operation(String name, int opset, Consumer<GraphBuilder> graph) {
    ModelProto model() {
        GraphBuilder g = new GraphBuilder(name.hashCode()).opset(opset);
        graph.accept(g);
        return g.build("y");
    }

    @Override
    public String toString() {
        return name;
    }

    static List<Operation> all() {
        return List.of(
                new Operation("activations", 13, g -> {
                    g.input("x", 4, 7, 6);
                    String all = "x";
                    for (String type :
                            List.of("LeakyRelu", "HardSigmoid", "Sigmoid", "Tanh", "Erf", "Exp", "Abs", "Neg")) {
                        all = g.node("Add", "after_" + type, List.of(all, g.node(type, type, List.of("x"))));
                    }
                    String scaled = g.node("Mul", "scaled", List.of("x", g.floats("ten", new int[0], 10)));
                    for (String type : List.of("Floor", "Ceil", "Round")) {
                        all = g.node("Add", "after_" + type, List.of(all, g.node(type, type, List.of(scaled))));
                    }
                    g.node("Identity", "y", List.of(all));
                }),
                new Operation("hard swish", 14, g -> g.node("HardSwish", "y", List.of(g.input("x", 4, 7, 6)))),
                new Operation(
                        "clip inputs",
                        13,
                        g -> g.node("Clip", "y", List.of(g.input("x", 4, 7, 6), "", g.floats("h", new int[0], 0.5f)))),
                new Operation("clip attributes", 10, g -> one(g, "Clip", real("min", -0.5f), real("max", 0.7f))),
                new Operation("softmax axis", 13, g -> one(g, "Softmax", integer("axis", 1))),
                new Operation("softmax flat", 11, g -> one(g, "Softmax", integer("axis", 2))),
                new Operation("softmax flat default", 11, g -> one(g, "Softmax")),
                new Operation("layer normalization", 17, g -> {
                    List<String> in =
                            List.of(g.input("x", 4, 7, 6), g.weights("scale", 1, 7, 6), g.weights("shift", 1, 7, 6));
                    g.node("LayerNormalization", "y", in, integer("axis", 2));
                }),
                new Operation(
                        "max pool",
                        13,
                        g -> one(
                                g,
                                "MaxPool",
                                list("kernel_shape", 3, 2),
                                list("strides", 2, 2),
                                list("pads", 1, 0, 1, 1))),
                new Operation(
                        "max pool ceil",
                        13,
                        g -> one(
                                g,
                                "MaxPool",
                                list("kernel_shape", 2, 4),
                                list("strides", 3, 4),
                                integer("ceil_mode", 1))),
                new Operation(
                        "max pool dilated",
                        13,
                        g -> one(g, "MaxPool", list("kernel_shape", 2, 3), list("dilations", 3, 2))),
                new Operation(
                        "average pool",
                        13,
                        g -> one(
                                g,
                                "AveragePool",
                                list("kernel_shape", 3, 3),
                                list("strides", 2, 2),
                                list("pads", 1, 1, 1, 1))),
                new Operation(
                        "average pool counting padding",
                        13,
                        g -> one(
                                g,
                                "AveragePool",
                                list("kernel_shape", 3, 3),
                                list("strides", 2, 2),
                                list("pads", 1, 0, 1, 2),
                                integer("count_include_pad", 1))),
                new Operation(
                        "average pool ceil",
                        19,
                        g -> one(
                                g,
                                "AveragePool",
                                list("kernel_shape", 3, 3),
                                list("strides", 2, 2),
                                list("pads", 1, 1, 0, 0),
                                integer("count_include_pad", 1),
                                integer("ceil_mode", 1))),
                new Operation(
                        "average pool same",
                        13,
                        g -> one(g, "AveragePool", list("kernel_shape", 2, 2), text("auto_pad", "SAME_LOWER"))),
                new Operation("global pools", 13, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String mean = g.node("GlobalAveragePool", "mean", List.of(x));
                    g.node("Add", "y", List.of(mean, g.node("GlobalMaxPool", "max", List.of(x))));
                }),
                new Operation("reduce attributes", 11, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String mean = g.node("ReduceMean", "mean", List.of(x), list("axes", -1, 1), integer("keepdims", 0));
                    String max = g.node("ReduceMax", "max", List.of(x), list("axes", 1, 3), integer("keepdims", 0));
                    String sum = g.node("ReduceSum", "sum", List.of(x));
                    g.node("Add", "y", List.of(g.node("Add", "both", List.of(mean, max)), sum));
                }),
                new Operation("reduce inputs", 18, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String mean = g.node("ReduceMean", "mean", List.of(x, g.integers("a", 2, -1)));
                    g.node("Add", "y", List.of(mean, g.node("ReduceSum", "sum", List.of(x, "a"))));
                }),
                new Operation("pad inputs", 13, g -> {
                    List<String> in =
                            List.of(g.input("x", 4, 7, 6), g.integers("p", 0, 1, 2, -1, 0, 0, 1, 2), scalar(g, 0.3f));
                    g.node("Pad", "y", in);
                }),
                new Operation("pad reflect", 13, g -> {
                    List<String> in = List.of(g.input("x", 4, 7, 6), g.integers("p", 0, 0, 2, 3, 0, 0, 1, 2));
                    g.node("Pad", "y", in, text("mode", "reflect"));
                }),
                new Operation(
                        "pad edge", 10, g -> one(g, "Pad", list("pads", 0, 0, 2, 3, 0, 0, 1, 2), text("mode", "edge"))),
                new Operation("resize nearest", 13, g -> resize(g, "nearest", "asymmetric", "floor", 1, 1, 2, 1.5f)),
                new Operation(
                        "resize nearest half pixel",
                        13,
                        g -> resize(g, "nearest", "half_pixel", "round_prefer_floor", 1, 1, 1.7f, 0.6f)),
                new Operation(
                        "resize nearest ceil",
                        13,
                        g -> resize(g, "nearest", "align_corners", "round_prefer_ceil", 1, 1, 1.3f, 3)),
                new Operation("resize linear", 13, g -> resize(g, "linear", "half_pixel", "floor", 1, 1, 2, 2.5f)),
                new Operation(
                        "resize linear pytorch",
                        13,
                        g -> resize(g, "linear", "pytorch_half_pixel", "floor", 1, 1, 0.5f, 2)),
                new Operation(
                        "resize linear corners", 13, g -> resize(g, "linear", "align_corners", "floor", 1, 1, 1.5f, 2)),
                new Operation("resize sizes", 13, g -> {
                    List<String> in = List.of(g.input("x", 4, 7, 6), "", "", g.integers("sizes", 2, 4, 10, 9));
                    g.node(
                            "Resize",
                            "y",
                            in,
                            text("mode", "linear"),
                            text("coordinate_transformation_mode", "asymmetric"));
                }),
                new Operation("resize opset 10", 10, g -> {
                    List<String> in = List.of(g.input("x", 4, 7, 6), g.floats("s", new int[] {4}, 1, 1, 2, 3));
                    g.node("Resize", "y", in, text("mode", "linear"));
                }),
                new Operation("upsample", 9, g -> {
                    List<String> in = List.of(g.input("x", 4, 7, 6), g.floats("s", new int[] {4}, 1, 1, 2, 3));
                    g.node("Upsample", "y", in, text("mode", "nearest"));
                }),
                new Operation("slice inputs", 13, g -> {
                    List<String> in = List.of(
                            g.input("x", 4, 7, 6),
                            g.integers("starts", 5, -1),
                            g.integers("ends", 0, -100),
                            g.integers("axes", 2, -1),
                            g.integers("steps", -2, -1));
                    g.node("Slice", "y", in);
                }),
                new Operation(
                        "slice attributes",
                        9,
                        g -> one(g, "Slice", list("starts", 1, -3), list("ends", 3, 1000), list("axes", 1, 3))),
                new Operation("split attribute", 11, g -> {
                    g.splitByAttribute(g.input("x", 4, 7, 6), 2, list("split", 3, 4), "left", "right");
                    g.node("Concat", "y", List.of("right", "left"), integer("axis", -2));
                }),
                new Operation("concat channels", 13, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String m = g.node("MaxPool", "m", List.of(x), list("kernel_shape", 3, 3), list("pads", 1, 1, 1, 1));
                    g.node("Concat", "y", List.of(m, x, m), integer("axis", 1));
                }),
                new Operation("squeeze and unsqueeze", 13, g -> {
                    String a = g.node("Unsqueeze", "a", List.of(g.input("x", 4, 7, 6), g.integers("axes", 0, -1)));
                    g.node("Squeeze", "y", List.of(g.node("Relu", "r", List.of(a)), g.integers("first", 0)));
                }),
                new Operation("unsqueeze attribute", 11, g -> one(g, "Unsqueeze", list("axes", 1, 3))),
                new Operation("gather", 13, g -> {
                    g.node(
                            "Gather",
                            "y",
                            List.of(g.input("x", 4, 7, 6), g.integers("i", 5, -7, 0)),
                            integer("axis", 2));
                }),
                new Operation("transpose default", 13, g -> one(g, "Transpose")),
                new Operation("flatten axis", 13, g -> one(g, "Flatten", integer("axis", -2))),
                new Operation("shape arithmetic", 13, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String shape = g.node("Shape", "shape", List.of(x));
                    String height = g.node("Gather", "height", List.of(shape, g.integers("at", 2)));
                    // Whole numbers: 7 / 2 is 3.
                    String half = g.node("Div", "half", List.of(height, g.integers("two", 2)));
                    String sizes = g.node("Concat", "sizes", List.of(half, g.integers("more", 2)), integer("axis", 0));
                    String filled = g.node("ConstantOfShape", "filled", List.of(sizes));
                    String cast = g.node("Cast", "cast", List.of(shape), integer("to", 1));
                    String wide = g.node("Expand", "wide", List.of(scalar(g, 0.5f), sizes));
                    String flat = g.node("Reshape", "flat", List.of(wide, g.integers("all", -1)));
                    String total = g.node("Add", "total", List.of(g.node("ReduceSum", "sum", List.of(flat)), cast));
                    String count = g.node("ReduceSum", "count", List.of(filled));
                    g.node(
                            "Add",
                            "y",
                            List.of(total, g.node("Reshape", "one", List.of(count, g.integers("single", 1)))));
                }),
                new Operation("choice", 13, g -> {
                    String x = g.input("x", 4, 7, 6);
                    String limit = scalar(g, 0.3f);
                    String positive = g.node("Greater", "positive", List.of(x, limit));
                    String negative = g.node("Less", "negative", List.of(g.node("Neg", "n", List.of(x)), limit));
                    String both = g.node("And", "both", List.of(g.node("Not", "not", List.of(positive)), negative));
                    String chosen = g.node("Where", "chosen", List.of(both, x, limit));
                    String smaller = g.node("Min", "smaller", List.of(chosen, x, g.weights("row", 1, 6)));
                    g.node("Max", "y", List.of(smaller, g.weights("column", 1, 7, 1)));
                }),
                new Operation("powers", 13, g -> {
                    String square =
                            g.node("Pow", "square", List.of(g.input("x", 4, 7, 6), g.floats("two", new int[0], 2)));
                    String root = g.node("Sqrt", "root", List.of(square));
                    g.node(
                            "Div",
                            "y",
                            List.of(square, g.node("Sub", "sub", List.of(root, g.floats("c", new int[0], -1)))));
                }),
                new Operation("matmul broadcast", 13, g -> {
                    String a = g.node("MatMul", "a", List.of(g.input("x", 4, 7, 6), g.weights("w", 1, 4, 6, 5)));
                    String turned = g.node("Transpose", "turned", List.of(a), list("perm", 0, 1, 3, 2));
                    String square = g.node("MatMul", "square", List.of(turned, a));
                    g.node("MatMul", "y", List.of(square, g.weights("v", 1, 5)));
                }),
                new Operation("conv transpose same", 13, g -> {
                    List<String> in = List.of(g.input("x", 4, 7, 6), g.weights("w", 1, 4, 2, 3, 2));
                    g.node("ConvTranspose", "y", in, text("auto_pad", "SAME_UPPER"), list("strides", 2, 1));
                }),
                new Operation("conv transpose 1d shape", 13, g -> {
                    List<String> in = List.of(g.input("x", 4, 7), g.weights("w", 1, 4, 2, 4));
                    g.node(
                            "ConvTranspose",
                            "y",
                            in,
                            list("output_shape", 15),
                            list("strides", 2),
                            list("dilations", 2));
                }),
                new Operation("conv transpose 3d", 13, g -> {
                    List<String> in = List.of(g.input("x", 4, 3, 2, 4), g.weights("w", 1, 4, 2, 3, 2, 1));
                    g.node("ConvTranspose", "y", in, list("strides", 2, 1, 2), list("pads", 1, 0, 0, 0, 1, 0));
                }));
    }

    private static void one(GraphBuilder g, String type, AttributeProto... attributes) {
        g.node(type, "y", List.of(g.input("x", 4, 7, 6)), attributes);
    }

    private static String scalar(GraphBuilder g, float value) {
        return g.floats("scalar_" + Float.toString(value), new int[0], value);
    }

    private static void resize(GraphBuilder g, String mode, String coordinates, String rounding, float... scales) {
        List<String> in = List.of(g.input("x", 4, 7, 6), "", g.floats("scales", new int[] {4}, scales));
        g.node(
                "Resize",
                "y",
                in,
                text("mode", mode),
                text("coordinate_transformation_mode", coordinates),
                text("nearest_mode", rounding));
    }
}
