package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static dev.rebias.oracle.GraphBuilder.text;

import ai.onnx.proto.OnnxMl.ModelProto;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Small networks of every topology that bias correction has to get right. */
enum Toy {
    CHAIN {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node("Relu", "r1", List.of(conv(g, "c1", g.input("x", 3, 6, 6), 3, 5, 3)));
            return g.build(conv(g, "c3", g.node("Relu", "r2", List.of(conv(g, "c2", a, 5, 4, 3))), 4, 3, 1));
        }
    },
    TWO_BRANCHES {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = g.node("Relu", "r", List.of(conv(g, "c1", g.input("x", 3, 5, 5), 3, 4, 3)));
            return g.build(conv(g, "a", x, 4, 3, 1), conv(g, "b", x, 4, 2, 3));
        }
    },
    RESIDUAL_ADD {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = conv(g, "c1", g.input("x", 3, 5, 5), 3, 4, 1);
            String y = conv(g, "c3", g.node("Relu", "r", List.of(conv(g, "c2", x, 4, 6, 1))), 6, 4, 1);
            return g.build(conv(g, "c4", g.node("Add", "sum", List.of(x, y)), 4, 2, 3));
        }
    },
    /**
     * Large enough for what makes one pass of several elementwise operations, of which the second's input is wanted
     * again.
     */
    SCALED_BRANCH {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = g.node(
                    "MaxPool",
                    "pooled",
                    List.of(conv(g, "c1", g.input("x", 3, 20, 20), 3, 24, 1)),
                    list("kernel_shape", 2, 2),
                    list("strides", 2, 2));
            String scaled = g.node("Mul", "scaled", List.of(x, g.weights("k", 0.5, 24, 1, 1)));
            return g.build(conv(g, "a", scaled, 24, 3, 1), conv(g, "b", x, 24, 2, 1));
        }
    },
    CONCAT {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = g.input("x", 3, 5, 5);
            String joined = g.node(
                    "Concat",
                    "joined",
                    List.of(conv(g, "a", x, 3, 2, 1), conv(g, "b", x, 3, 3, 1)),
                    integer("axis", 1));
            return g.build(conv(g, "c", joined, 5, 4, 3));
        }
    },
    SPLIT {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = conv(g, "c1", g.input("x", 3, 5, 5), 3, 6, 1);
            g.split(x, g.integers("sizes", 2, 4), 1, "left", "right");
            return g.build(conv(g, "a", "left", 2, 3, 3), conv(g, "b", "right", 4, 3, 1));
        }
    },
    SHARED_INPUT {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = g.input("x", 3, 4, 4);
            return g.build(g.node("Add", "sum", List.of(conv(g, "a", x, 3, 4, 1), conv(g, "b", x, 3, 4, 1))));
        }
    },
    TWO_INPUTS {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = conv(g, "a", g.input("x", 3, 4, 4), 3, 4, 1);
            String b = conv(g, "b", g.input("z", 2, 4, 4), 2, 4, 3);
            return g.build(conv(g, "c", g.node("Mul", "product", List.of(a, b)), 4, 3, 1));
        }
    },
    REUSED_BIAS {
        @Override
        ModelProto model(GraphBuilder g) {
            String bias = g.weights("shared_bias", 0.3, 4);
            String a = g.node("Conv", "a", List.of(g.input("x", 3, 4, 4), g.weights("wa", 0.4, 4, 3, 1, 1), bias));
            String b = g.node(
                    "Conv", "b", List.of(g.node("Relu", "r", List.of(a)), g.weights("wb", 0.4, 4, 4, 1, 1), bias));
            return g.build(b);
        }
    },
    WITHOUT_BIAS {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node("Conv", "a", List.of(g.input("x", 3, 4, 4), g.weights("wa", 0.4, 4, 3, 3, 3)));
            return g.build(
                    g.node("Conv", "b", List.of(g.node("Relu", "r", List.of(a)), g.weights("wb", 0.4, 4, 4, 1, 1))));
        }
    },
    MATMUL_ADD {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node("MatMul", "a", List.of(g.input("x", 7, 5), g.weights("wa", 0.4, 5, 6)));
            String sum = g.node("Add", "a_biased", List.of(g.weights("ba", 0.3, 6), a));
            String b = g.node("MatMul", "b", List.of(g.node("Relu", "r", List.of(sum)), g.weights("wb", 0.4, 6, 3)));
            return g.build(g.node("Add", "b_biased", List.of(b, g.weights("bb", 0.3, 3))));
        }
    },
    MATMUL_ALONE {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node("MatMul", "a", List.of(g.input("x", 5), g.weights("wa", 0.4, 5, 6)));
            return g.build(g.node("MatMul", "b", List.of(g.node("Relu", "r", List.of(a)), g.weights("wb", 0.4, 6, 3))));
        }
    },
    DEPTHWISE {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 6, 5, 5), g.weights("wa", 0.4, 6, 1, 3, 3), g.weights("ba", 0.3, 6)),
                    integer("group", 6));
            return g.build(conv(g, "b", a, 6, 4, 1));
        }
    },
    GROUPED {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 4, 5, 5), g.weights("wa", 0.4, 6, 2, 3, 3), g.weights("ba", 0.3, 6)),
                    integer("group", 2));
            return g.build(conv(g, "b", a, 6, 4, 1));
        }
    },
    DILATED {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 3, 9, 9), g.weights("wa", 0.4, 4, 3, 3, 3)),
                    list("dilations", 2, 3),
                    list("pads", 2, 3, 2, 3));
            return g.build(conv(g, "b", a, 4, 4, 1));
        }
    },
    STRIDED {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 3, 9, 8), g.weights("wa", 0.4, 4, 3, 3, 2)),
                    list("strides", 2, 3));
            return g.build(conv(g, "b", a, 4, 4, 1));
        }
    },
    ASYMMETRIC_PADDING {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 3, 5, 6), g.weights("wa", 0.4, 4, 3, 3, 3)),
                    list("pads", 0, 1, 2, 0));
            String b = g.node(
                    "Conv",
                    "b",
                    List.of(a, g.weights("wb", 0.4, 3, 4, 2, 4)),
                    text("auto_pad", "SAME_UPPER"),
                    list("strides", 2, 2));
            return g.build(
                    g.node("Conv", "c", List.of(b, g.weights("wc", 0.4, 3, 3, 2, 2)), text("auto_pad", "SAME_LOWER")));
        }
    },
    ONE_DIMENSION {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 3, 11), g.weights("wa", 0.4, 4, 3, 5), g.weights("ba", 0.3, 4)),
                    list("pads", 2, 2));
            return g.build(
                    g.node("Conv", "b", List.of(g.node("Relu", "r", List.of(a)), g.weights("wb", 0.4, 2, 4, 1))));
        }
    },
    THREE_DIMENSIONS {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 2, 4, 5, 6), g.weights("wa", 0.4, 3, 2, 2, 3, 1), g.weights("ba", 0.3, 3)));
            return g.build(g.node("Conv", "b", List.of(a, g.weights("wb", 0.4, 2, 3, 1, 1, 1))));
        }
    },
    TRANSPOSED {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "ConvTranspose",
                    "a",
                    List.of(g.input("x", 4, 4, 3), g.weights("wa", 0.4, 4, 3, 3, 2), g.weights("ba", 0.3, 6)),
                    integer("group", 2),
                    list("strides", 2, 2),
                    list("pads", 1, 0, 0, 1),
                    list("output_padding", 1, 0));
            String b = g.node(
                    "ConvTranspose", "b", List.of(g.node("Relu", "r", List.of(a)), g.weights("wb", 0.4, 6, 2, 2, 2)));
            return g.build(b);
        }
    },
    GEMM_TRANSPOSES {
        @Override
        ModelProto model(GraphBuilder g) {
            String a =
                    g.node("Gemm", "a", List.of(g.input("x", 5), g.weights("wa", 0.4, 5, 6), g.weights("ba", 0.3, 6)));
            String b = g.node(
                    "Gemm",
                    "b",
                    List.of(a, g.weights("wb", 0.4, 4, 6), g.weights("bb", 0.3, 1, 4)),
                    integer("transB", 1),
                    real("alpha", 0.7f),
                    real("beta", 2.5f));
            String turned = g.node("Transpose", "turned", List.of(b), list("perm", 1, 0));
            String c = g.node(
                    "Gemm",
                    "c",
                    List.of(turned, g.weights("wc", 0.4, 4, 3), g.weights("bc", 0.3, 3)),
                    integer("transA", 1));
            String again = g.node("Transpose", "again", List.of(c), list("perm", 1, 0));
            return g.build(g.node(
                    "Gemm",
                    "d",
                    List.of(again, g.weights("wd", 0.4, 5, 3)),
                    integer("transA", 1),
                    integer("transB", 1)));
        }
    },
    SMOOTH {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node("Sigmoid", "s", List.of(conv(g, "c1", g.input("x", 3, 6, 6), 3, 5, 3)));
            String b = g.node("Tanh", "t", List.of(conv(g, "c2", a, 5, 4, 3)));
            return g.build(conv(g, "c3", b, 4, 3, 1));
        }
    },
    SEVERAL_CONSUMERS {
        @Override
        ModelProto model(GraphBuilder g) {
            // Neither the BatchNormalization nor the Add is the only one that reads the layer: both are nodes of their
            // own.
            String c = conv(g, "c1", g.input("x", 3, 4, 4), 3, 4, 3);
            String n = normalization(g, "n", c, 4);
            String flat = g.node("Flatten", "flat", List.of(g.node("Add", "sum", List.of(c, n))));
            String m = g.node("MatMul", "m", List.of(flat, g.weights("wm", 0.2, 64, 5)));
            String shifted = g.node("Add", "shifted", List.of(m, g.constant("shift_m", 0.3, 5)));
            return g.build(g.node("Mul", "product", List.of(m, shifted)));
        }
    },
    CONSTANT_NODES {
        @Override
        ModelProto model(GraphBuilder g) {
            String a = g.node(
                    "Conv",
                    "a",
                    List.of(g.input("x", 3, 5, 5), g.constant("wa", 0.4, 4, 3, 3, 3), g.weights("ba", 0.3, 4)));
            String b = g.node(
                    "Conv",
                    "b",
                    List.of(
                            g.node("Relu", "r", List.of(a)),
                            g.constant("wb", 0.4, 3, 4, 1, 1),
                            g.constant("bb", 0.3, 3)));
            String flat = g.node("Flatten", "flat", List.of(b));
            String m = g.node("MatMul", "m", List.of(flat, g.constant("wm", 0.4, 27, 4)));
            return g.build(g.node("Add", "m_biased", List.of(m, g.constant("bm", 0.3, 4))));
        }
    },
    BATCH_NORMALIZATION {
        @Override
        ModelProto model(GraphBuilder g) {
            String x = g.node(
                    "ConvTranspose",
                    "t",
                    List.of(conv(g, "c1", g.input("x", 3, 4, 4), 3, 4, 3), g.weights("wt", 0.4, 4, 3, 2, 2)),
                    integer("group", 2));
            String n = normalization(g, "n", x, 6);
            return g.build(conv(g, "c2", g.node("Relu", "r", List.of(n)), 6, 2, 1));
        }
    };

    abstract ModelProto model(GraphBuilder g);

    final ModelProto model() {
        return model(new GraphBuilder(name().hashCode()));
    }

    private static String conv(GraphBuilder g, String name, String x, int in, int out, int kernel) {
        int pad = kernel / 2;
        return g.node(
                "Conv",
                name,
                List.of(x, g.weights(name + "_w", 0.4, out, in, kernel, kernel), g.weights(name + "_b", 0.3, out)),
                list("pads", pad, pad, pad, pad));
    }

    private static String normalization(GraphBuilder g, String name, String x, int channels) {
        return g.node(
                "BatchNormalization",
                name,
                List.of(
                        x,
                        g.positive("scale", channels),
                        g.weights("shift", 0.5, channels),
                        g.weights("mean", 0.5, channels),
                        g.positive("variance", channels)));
    }

    /** Normally distributed samples for a model's inputs. */
    static Map<String, NaiveTensor> samples(ModelProto model, int n, long seed) {
        Random random = new Random(seed);
        Map<String, NaiveTensor> samples = new LinkedHashMap<>();
        model.getGraph().getInputList().forEach(input -> {
            int[] shape = input.getType().getTensorType().getShape().getDimList().stream()
                    .mapToInt(d -> (int) d.getDimValue())
                    .toArray();
            shape[0] = n;
            NaiveTensor t = NaiveTensor.zeros(shape);
            for (int i = 0; i < t.values().length; i++) {
                t.values()[i] = (float) (random.nextGaussian() + 0.2);
            }
            samples.put(input.getName(), t);
        });
        return samples;
    }
}
