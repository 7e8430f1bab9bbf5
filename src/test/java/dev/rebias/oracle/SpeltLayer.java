package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static dev.rebias.oracle.GraphBuilder.real;
import static dev.rebias.oracle.GraphBuilder.text;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * A layer {@code y = op(x, W) + b}, which can be written into a graph in several ways that all compute the same.
 *
 * @param weights as the op stores them; of a dense layer [inputs, outputs]
 */
record SpeltLayer(Kind kind, int inputs, int outputs, double[] weights, double[] bias) {
    /** What kind of operation it is: its kernel, stride, padding before and behind, group. */
    enum Kind {
        PADDED(2, 3, 1, 1, 1, 1),
        STRIDED(2, 3, 2, 0, 1, 1),
        UNPADDED(2, 3, 1, 0, 0, 1),
        GROUPED(2, 3, 1, 1, 1, 2),
        DEPTHWISE(2, 3, 1, 1, 1, 4),
        ONE_DIMENSIONAL(1, 3, 1, 1, 1, 1),
        TRANSPOSED(2, 2, 2, 0, 0, 2),
        DENSE(0, 1, 1, 0, 0, 1);

        final int spatial;
        final int kernel;
        final int stride;
        final int before;
        final int behind;
        final int group;

        Kind(int spatial, int kernel, int stride, int before, int behind, int group) {
            this.spatial = spatial;
            this.kernel = kernel;
            this.stride = stride;
            this.before = before;
            this.behind = behind;
            this.group = group;
        }

        int[] weightShape(int inputs, int outputs) {
            int[] shape = new int[spatial + 2];
            Arrays.fill(shape, kernel);
            shape[0] = this == TRANSPOSED || this == DENSE ? inputs : outputs;
            shape[1] = this == DENSE ? outputs : this == TRANSPOSED ? outputs / group : inputs / group;
            return shape;
        }
    }

    /** How it is written. */
    enum Spelling {
        FOLDED,
        ADD,
        SUB,
        SUB_FROM_CONSTANT,
        MUL_ADD,
        DIV_SUB,
        ADD_MUL,
        SCALAR_MUL_ADD,
        BIAS_AND_SCALAR_ADD,
        BATCH_NORMALIZATION,
        ADD_BATCH_NORMALIZATION,
        BATCH_NORMALIZATION_ADD,
        DIV_BATCH_NORMALIZATION,
        NEG,
        IDENTITY_ADD,
        MUL_BEFORE,
        PAD,
        PAD_IN_PART,
        AUTO_PAD,
        ADD_MUL_BEFORE,
        BATCH_NORMALIZATION_BEFORE,
        GEMM_ALPHA_BETA,
        GEMM_TRANSPOSED;

        boolean fits(Kind kind) {
            return switch (this) {
                case PAD, PAD_IN_PART -> kind.before + kind.behind > 0;
                case AUTO_PAD -> kind.before + kind.behind > 0 || kind == Kind.TRANSPOSED;
                case ADD_MUL_BEFORE, BATCH_NORMALIZATION_BEFORE -> kind == Kind.UNPADDED || kind == Kind.DENSE;
                case GEMM_ALPHA_BETA, GEMM_TRANSPOSED -> kind == Kind.DENSE;
                default -> true;
            };
        }
    }

    static SpeltLayer random(Kind kind, int inputs, int outputs, Random random) {
        double[] weights = new double[NaiveTensor.size(kind.weightShape(inputs, outputs))];
        Arrays.setAll(weights, i -> (float) (0.4 * random.nextGaussian()));
        double[] bias = new double[outputs];
        Arrays.setAll(bias, i -> (float) (0.5 + 0.5 * random.nextGaussian()));
        return new SpeltLayer(kind, inputs, outputs, weights, bias);
    }

    /** The layer with each output channel's weights rounded to that many bits. */
    SpeltLayer rounded(int bits) {
        double[] largest = new double[outputs];
        for (int i = 0; i < weights.length; i++) {
            largest[output(i)] = Math.max(largest[output(i)], Math.abs(weights[i]));
        }
        double[] out = new double[weights.length];
        for (int i = 0; i < out.length; i++) {
            double step = largest[output(i)] / ((1 << (bits - 1)) - 1);
            out[i] = Math.rint(weights[i] / step) * step;
        }
        return new SpeltLayer(kind, inputs, outputs, out, bias);
    }

    private int output(int i) {
        int[] shape = kind.weightShape(inputs, outputs);
        int inner = weights.length / shape[0] / shape[1];
        return switch (kind) {
            case DENSE -> i % outputs;
            case TRANSPOSED -> i / inner / shape[1] / (inputs / kind.group) * shape[1] + i / inner % shape[1];
            default -> i / inner / shape[1];
        };
    }

    private int input(int i) {
        int[] shape = kind.weightShape(inputs, outputs);
        int inner = weights.length / shape[0] / shape[1];
        return switch (kind) {
            case DENSE -> i / outputs;
            case TRANSPOSED -> i / inner / shape[1];
            default -> i / inner / shape[1] / (outputs / kind.group) * shape[1] + i / inner % shape[1];
        };
    }

    private double[] times(IntToDoubleFunction perOutput) {
        return IntStream.range(0, weights.length)
                .mapToDouble(i -> weights[i] * perOutput.applyAsDouble(output(i)))
                .toArray();
    }

    /** Writes the layer, its last node's output having the given name. */
    String write(GraphBuilder g, String x, String name, Spelling spelling, Random random) {
        return new Writer(g, name, random).write(x, spelling);
    }

    private final class Writer {
        private final GraphBuilder g;
        private final String name;
        private final Random random;
        private int part;

        Writer(GraphBuilder g, String name, Random random) {
            this.g = g;
            this.name = name;
            this.random = random;
        }

        private String part() {
            return name + "_" + part++;
        }

        private double[] draw(int n, double least, double most) {
            double[] out = new double[n];
            Arrays.setAll(out, i -> (float) (least + (most - least) * random.nextDouble()));
            return out;
        }

        private String stored(double[] values, int... dims) {
            float[] floats = new float[values.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) values[i];
            }
            if (random.nextBoolean()) {
                return g.floats(part(), dims, floats);
            }
            TensorProto.Builder t = TensorProto.newBuilder().setDataType(1);
            for (int d : dims) {
                t.addDims(d);
            }
            for (float v : floats) {
                t.addFloatData(v);
            }
            return g.constant(part(), t.build());
        }

        /** A constant that broadcasts along the channels, in one of the forms that do. */
        private String perChannel(double[] values) {
            int extra = random.nextInt(2);
            int[] dims = new int[kind.spatial + 1 + extra];
            Arrays.fill(dims, 1);
            dims[extra] = values.length;
            return stored(values, dims);
        }

        private String binary(String type, String x, String constant, boolean constantFirst, String output) {
            return g.node(type, output, constantFirst ? List.of(constant, x) : List.of(x, constant));
        }

        private String sum(String x, double[] values, String output) {
            return binary("Add", x, perChannel(values), random.nextBoolean(), output);
        }

        private String product(String x, double[] values, String output) {
            return binary("Mul", x, perChannel(values), random.nextBoolean(), output);
        }

        private String normalization(
                String x, double[] scale, double[] shift, double[] mean, double[] variance, String output) {
            List<String> inputs = new ArrayList<>(List.of(x));
            for (double[] values : List.of(scale, shift, mean, variance)) {
                inputs.add(stored(values, values.length));
            }
            return g.node("BatchNormalization", output, inputs);
        }

        private String op(String x, double[] w, double[] b, String output) {
            return op(x, w, b, output, kind.before, kind.behind, "");
        }

        private String op(String x, double[] w, double[] b, String output, int before, int behind, String autoPad) {
            List<String> inputs =
                    new ArrayList<>(List.of(x, stored(w, kind.weightShape(SpeltLayer.this.inputs, outputs))));
            if (b.length > 0) {
                inputs.add(stored(b, b.length));
            }
            if (kind == Kind.DENSE) {
                return g.node(b.length > 0 ? "Gemm" : "MatMul", output, inputs);
            }
            List<AttributeProto> attributes = new ArrayList<>(List.of(
                    integer("group", kind.group),
                    list("strides", LongStreams.repeat(kind.stride, kind.spatial)),
                    list("kernel_shape", LongStreams.repeat(kind.kernel, kind.spatial))));
            attributes.add(
                    autoPad.isEmpty()
                            ? list("pads", LongStreams.pads(before, behind, kind.spatial))
                            : text("auto_pad", autoPad));
            return g.node(
                    kind == Kind.TRANSPOSED ? "ConvTranspose" : "Conv",
                    output,
                    inputs,
                    attributes.toArray(AttributeProto[]::new));
        }

        private String padded(String x, int before, int behind) {
            long[] pads = new long[2 * kind.spatial + 4];
            Arrays.fill(pads, 2, kind.spatial + 2, before);
            Arrays.fill(pads, kind.spatial + 4, pads.length, behind);
            return g.node("Pad", part(), List.of(x, g.integers(part(), pads)));
        }

        String write(String x, Spelling spelling) {
            double[] none = new double[0];
            double[] factor = draw(outputs, 0.5, 2);
            double[] inverse = Arrays.stream(factor).map(f -> 1 / f).toArray();
            return switch (spelling) {
                case FOLDED -> op(x, weights, bias, name);
                case ADD -> sum(op(x, weights, none, part()), bias, name);
                case SUB -> binary("Sub", op(x, weights, none, part()), perChannel(negated(bias)), false, name);
                case SUB_FROM_CONSTANT ->
                    binary("Sub", op(x, negated(weights), none, part()), perChannel(bias), true, name);
                case MUL_ADD -> sum(product(op(x, times(c -> inverse[c]), none, part()), factor, part()), bias, name);
                case DIV_SUB -> {
                    String y = op(x, times(c -> factor[c]), none, part());
                    String divided = binary("Div", y, perChannel(factor), false, part());
                    yield binary("Sub", divided, perChannel(negated(bias)), false, name);
                }
                case ADD_MUL ->
                    product(
                            sum(op(x, times(c -> inverse[c]), none, part()), scaled(bias, inverse), part()),
                            factor,
                            name);
                case SCALAR_MUL_ADD ->
                    sum(
                            binary(
                                    "Mul",
                                    op(x, times(c -> 4), none, part()),
                                    stored(new double[] {0.25}),
                                    true,
                                    part()),
                            bias,
                            name);
                case BIAS_AND_SCALAR_ADD ->
                    binary(
                            "Add",
                            op(
                                    x,
                                    weights,
                                    Arrays.stream(bias).map(b -> b - 0.75).toArray(),
                                    part()),
                            stored(new double[] {0.75}, 1),
                            random.nextBoolean(),
                            name);
                case BATCH_NORMALIZATION -> normalized(x, Spelling.FOLDED);
                case ADD_BATCH_NORMALIZATION -> normalized(x, Spelling.ADD);
                case BATCH_NORMALIZATION_ADD -> normalized(x, Spelling.BATCH_NORMALIZATION_ADD);
                case DIV_BATCH_NORMALIZATION -> normalized(x, Spelling.DIV_SUB);
                case NEG -> g.node("Neg", name, List.of(op(x, negated(weights), negated(bias), part())));
                case IDENTITY_ADD -> sum(g.node("Identity", part(), List.of(op(x, weights, none, part()))), bias, name);
                case MUL_BEFORE -> {
                    double[] k = draw(inputs, 0.5, 2);
                    yield op(product(x, k, part()), dividedByInput(k), bias, name);
                }
                case PAD -> op(padded(x, kind.before, kind.behind), weights, bias, name, 0, 0, "");
                case PAD_IN_PART -> op(padded(x, 0, kind.behind), weights, bias, name, kind.before, 0, "");
                case AUTO_PAD -> op(x, weights, bias, name, 0, 0, "SAME_UPPER");
                case ADD_MUL_BEFORE -> {
                    double[] k = draw(inputs, 0.5, 2);
                    double[] h = draw(inputs, -1, 1);
                    String data = product(sum(x, h, part()), k, part());
                    yield op(data, dividedByInput(k), minusShift(h), name);
                }
                case BATCH_NORMALIZATION_BEFORE -> {
                    double[] s = draw(inputs, 0.5, 2);
                    double[] h = draw(inputs, -1, 1);
                    double[] v = draw(inputs, 0.5, 2);
                    double[] gain = gain(s, v);
                    String data = normalization(x, s, scaled(h, gain), new double[inputs], v, part());
                    yield op(data, dividedByInput(gain), minusShift(h), name);
                }
                case GEMM_ALPHA_BETA ->
                    g.node(
                            "Gemm",
                            name,
                            List.of(
                                    x,
                                    stored(times(c -> 2), inputs, outputs),
                                    stored(Arrays.stream(bias).map(b -> b / 4).toArray(), 1, outputs)),
                            real("alpha", 0.5f),
                            real("beta", 4));
                case GEMM_TRANSPOSED -> {
                    double[] t = new double[weights.length];
                    for (int i = 0; i < t.length; i++) {
                        t[i % outputs * inputs + i / outputs] = weights[i];
                    }
                    yield g.node(
                            "Gemm",
                            name,
                            List.of(x, stored(t, outputs, inputs), stored(bias, outputs)),
                            integer("transB", 1));
                }
            };
        }

        /** With a BatchNormalization behind the op, whose bias is its own or an Add. */
        private String normalized(String x, Spelling own) {
            double[] none = new double[0];
            double[] scale = draw(outputs, 0.5, 2);
            double[] variance = draw(outputs, 0.5, 2);
            double[] mean = draw(outputs, -1, 1);
            double[] first = draw(outputs, -1, 1);
            double[] gain = gain(scale, variance);
            double[] inverse = Arrays.stream(gain).map(v -> 1 / v).toArray();
            double[] shift = new double[outputs];
            Arrays.setAll(shift, c -> bias[c] - gain[c] * (first[c] - mean[c]));
            double[] w = times(c -> inverse[c]);
            if (own == Spelling.DIV_SUB) {
                double[] factor = draw(outputs, 0.5, 2);
                Arrays.setAll(shift, c -> bias[c] + gain[c] * mean[c]);
                String y = op(x, times(c -> inverse[c] * factor[c]), none, part());
                String divided = binary("Div", y, perChannel(factor), false, part());
                return normalization(divided, scale, shift, mean, variance, name);
            }
            if (own == Spelling.BATCH_NORMALIZATION_ADD) {
                double[] rest = new double[outputs];
                Arrays.setAll(rest, c -> shift[c] - 0.5);
                String y = normalization(op(x, w, first, part()), scale, rest, mean, variance, part());
                return sum(y, Arrays.stream(new double[outputs]).map(v -> 0.5).toArray(), name);
            }
            String y = own == Spelling.ADD ? sum(op(x, w, none, part()), first, part()) : op(x, w, first, part());
            return normalization(y, scale, shift, mean, variance, name);
        }

        private double[] gain(double[] scale, double[] variance) {
            double[] out = new double[scale.length];
            Arrays.setAll(out, c -> scale[c] / Math.sqrt(variance[c] + 1e-5f));
            return out;
        }

        private double[] dividedByInput(double[] k) {
            return IntStream.range(0, weights.length)
                    .mapToDouble(i -> weights[i] / k[input(i)])
                    .toArray();
        }

        /** The bias that is left where the data before their scaling are larger by h. */
        private double[] minusShift(double[] h) {
            double[] out = bias.clone();
            for (int i = 0; i < weights.length; i++) {
                out[output(i)] -= weights[i] * h[input(i)];
            }
            return out;
        }
    }

    private static double[] negated(double[] values) {
        return Arrays.stream(values).map(v -> -v).toArray();
    }

    private static double[] scaled(double[] values, double[] factors) {
        double[] out = new double[values.length];
        Arrays.setAll(out, i -> values[i] * factors[i]);
        return out;
    }

    /** Lists of attributes. */
    private static final class LongStreams {
        static long[] repeat(long value, int n) {
            long[] out = new long[n];
            Arrays.fill(out, value);
            return out;
        }

        static long[] pads(int before, int behind, int spatial) {
            long[] out = new long[2 * spatial];
            Arrays.fill(out, 0, spatial, before);
            Arrays.fill(out, spatial, 2 * spatial, behind);
            return out;
        }
    }
}
