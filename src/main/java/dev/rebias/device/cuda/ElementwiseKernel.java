package dev.rebias.device.cuda;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The kernel of a group of elementwise operations for inputs of certain shapes and types, alone or behind a layer on
 * integers, whose outputs never reach memory then. The source holds how each input lies in memory (whole, one value,
 * one per channel, or any strided index); sizes and numbers are arguments, so networks with many alike groups share
 * kernels.
 *
 * @param source CUDA C++, with one kernel {@code elementwise}
 * @param reads how each input is read
 * @param shape the shape of the group's outputs
 * @param types their types of elements
 */
record ElementwiseKernel(String source, List<Read> reads, long[] shape, List<ElementType> types) {
    /** Beyond this, int is not enough for indices (with a block of threads to spare). */
    private static final long INT_ELEMENTS = (1L << 31) - (1 << 12);

    /** What each instruction is in CUDA C++, with elementwise.cuh; quantising needs its type's bounds besides. */
    private static final Map<Code, String> FORMS = Map.ofEntries(
            Map.entry(Code.ABS, "fabsf(%s)"),
            Map.entry(Code.CEIL, "ceilf(%s)"),
            Map.entry(Code.ERF, "erff(%s)"),
            Map.entry(Code.EXP, "expf(%s)"),
            Map.entry(Code.FLOOR, "floorf(%s)"),
            Map.entry(Code.HARD_SWISH, "hard_swish(%s)"),
            Map.entry(Code.LOG, "logf(%s)"),
            Map.entry(Code.NEG, "-%s"),
            Map.entry(Code.RECIPROCAL, "1.0f / %s"),
            Map.entry(Code.RELU, "fmaxf(%s, 0.0f)"),
            Map.entry(Code.ROUND, "rintf(%s)"),
            Map.entry(Code.SIGMOID, "sigmoid(%s)"),
            Map.entry(Code.SOFTPLUS, "softplus(%s)"),
            Map.entry(Code.SOFTSIGN, "%1$s / (1.0f + fabsf(%1$s))"),
            Map.entry(Code.SQRT, "sqrtf(%s)"),
            Map.entry(Code.TANH, "tanhf(%s)"),
            Map.entry(Code.ADD, "%s + %s"),
            Map.entry(Code.SUB, "%s - %s"),
            Map.entry(Code.MUL, "%s * %s"),
            Map.entry(Code.DIV, "%s / %s"),
            Map.entry(Code.POW, "powf(%s, %s)"),
            Map.entry(Code.PRELU, "leaky_relu(%s, %s)"),
            Map.entry(Code.SUM, "%s + %s"),
            Map.entry(Code.MAX, "fmaxf(%s, %s)"),
            Map.entry(Code.MIN, "fminf(%s, %s)"),
            Map.entry(Code.CLIP, "clip(%s, %s, %s)"),
            Map.entry(Code.HARD_SIGMOID, "hard_sigmoid(%s, %s, %s)"),
            Map.entry(Code.ELU, "elu(%s, %s)"),
            Map.entry(Code.SCALE_SHIFT, "%s * %s + %s"),
            Map.entry(Code.DEQUANTIZE, "dequantize(%s, %s, %s)"));

    /** Those that take any number of values, two by two. */
    private static final Set<Code> FOLDED = EnumSet.of(Code.SUM, Code.MAX, Code.MIN);

    /** How an input lies in memory, seen from the group's shape. */
    enum Layout {
        /** Element by element. */
        WHOLE,
        /** One value for all. */
        VALUE,
        /** Index {@code i / inner % channels}. */
        CHANNEL,
        /** Anything else that broadcasts. */
        INDEX,
        /** In the kernel's own registers: a layer's output. */
        OWN
    }

    /** Whether its indices are ints. */
    boolean small() {
        return source.contains("typedef int Index");
    }

    /** How an input is read: its layout and what that needs. */
    record Read(Layout layout, ElementType type, long inner, long channels, Optional<StridedIndex> index) {}

    /**
     * The kernel for inputs of these shapes.
     *
     * @param title for the source's first line
     * @param shapes the inputs' shapes
     * @param inputTypes the inputs' types of elements
     * @return empty if outputs differ in shape, or there are too many dimensions: then the members must run one by one
     */
    static Optional<ElementwiseKernel> of(
            String title, ElementwiseProgram program, List<long[]> shapes, List<ElementType> inputTypes) {
        Optional<long[]> whole = program.shape(shapes);
        if (whole.isEmpty()) {
            return Optional.empty();
        }
        long[] total = whole.get();
        List<Read> reads = new ArrayList<>();
        for (int i = 0; i < shapes.size(); i++) {
            Optional<Read> read = read(program.inputs().get(i).aligned(shapes.get(i), total), inputTypes.get(i), total);
            if (read.isEmpty()) {
                return Optional.empty();
            }
            reads.add(read.get());
        }
        List<ElementType> types = program.outputTypes();
        String text = alone(title, new Body(program, reads, types), total);
        return Optional.of(new ElementwiseKernel(text, reads, total, types));
    }

    /**
     * The kernel of a layer on integers and the group behind it.
     *
     * @param own which of the group's inputs is the layer's output
     * @param shapes the inputs' shapes, the layer's output's among them
     * @param planes of the layer's weights
     * @return empty if something of another shape than the layer's output comes out, or as above
     */
    static Optional<ElementwiseKernel> behind(
            String title,
            IntegerForm layer,
            int planes,
            int own,
            ElementwiseProgram program,
            List<long[]> shapes,
            List<ElementType> inputTypes) {
        Optional<ElementwiseKernel> alone = of(title, program, shapes, inputTypes);
        if (alone.isEmpty() || alone.get().reads().get(own).layout() != Layout.WHOLE) {
            return Optional.empty();
        }
        long[] total = alone.get().shape();
        List<Read> reads = new ArrayList<>(alone.get().reads());
        reads.set(own, new Read(Layout.OWN, ElementType.FLOAT, 1, 1, Optional.empty()));
        List<ElementType> types = alone.get().types();
        String text = behind(title, layer, planes, new Body(program, reads, types), total);
        return Optional.of(new ElementwiseKernel(text, reads, total, types));
    }

    private static Optional<Read> read(long[] aligned, ElementType type, long[] total) {
        if (Arrays.equals(aligned, total)) {
            return Optional.of(new Read(Layout.WHOLE, type, 1, 1, Optional.empty()));
        }
        if (Shape.elements(aligned) == 1) {
            return Optional.of(new Read(Layout.VALUE, type, 1, 1, Optional.empty()));
        }
        int first = 0;
        while (aligned[first] == 1) {
            first++;
        }
        int behind = total.length;
        while (aligned[behind - 1] == 1) {
            behind--;
        }
        boolean run = Arrays.equals(aligned, first, behind, total, first, behind);
        if (run) {
            long inner = Shape.elements(total, behind, total.length);
            long channels = Shape.elements(total, first, behind);
            return Optional.of(new Read(Layout.CHANNEL, type, inner, channels, Optional.empty()));
        }
        return StridedIndex.paired(total, Copies.broadcastStrides(aligned, total))
                .map(w -> new Read(Layout.INDEX, type, 1, 1, Optional.of(w)));
    }

    /** What a kernel does with up to four neighbours from element {@code i} on, and the parameters that it needs. */
    private static final class Body {
        private final StringBuilder parameters = new StringBuilder();
        private final StringBuilder text = new StringBuilder();

        Body(ElementwiseProgram program, List<Read> reads, List<ElementType> types) {
            for (int i = 0; i < reads.size(); i++) {
                read(reads.get(i), i);
            }
            for (int j = 0; j < program.constants().size(); j++) {
                parameters.append(", float c").append(j);
            }
            for (int o = 0; o < types.size(); o++) {
                parameters
                        .append(", ")
                        .append(ctype(types.get(o)))
                        .append("* __restrict__ o")
                        .append(o);
            }
            for (int m = 0; m < program.instructions().size(); m++) {
                String expression = expression(program.instructions().get(m), reads);
                text.append(line(
                        String.format("float v%d[4]; for (int l = 0; l < 4; l++) v%d[l] = %s;", m, m, expression)));
            }
            for (int o = 0; o < types.size(); o++) {
                text.append(line(String.format(
                        "store(o%d, i, lanes, v%d);", o, program.outputs().get(o))));
            }
        }

        private void read(Read read, int i) {
            if (read.layout() == Layout.OWN) {
                text.append(line(String.format("const float* x%d = y;", i)));
                return;
            }
            parameters
                    .append(", const ")
                    .append(ctype(read.type()))
                    .append("* __restrict__ p")
                    .append(i);
            switch (read.layout()) {
                case WHOLE -> text.append(line(String.format("float x%d[4]; load(p%d, i, lanes, x%d);", i, i, i)));
                case VALUE -> text.append(line(String.format("float x%d = p%d[0];", i, i)));
                case CHANNEL -> {
                    parameters.append(String.format(", Index inner%d, Index channels%d", i, i));
                    text.append(line(String.format(
                            "float x%d[4]; load_channel(p%d, i, lanes, inner%d, channels%d, x%d);", i, i, i, i, i)));
                }
                default -> {
                    parameters.append(", StridedIndex index").append(i);
                    text.append(
                            line(String.format("float x%d[4]; load_index(p%d, i, lanes, index%d, x%d);", i, i, i, i)));
                }
            }
        }
    }

    private static String head(String title, long[] total) {
        String index = Shape.elements(total) < INT_ELEMENTS ? "int" : "long long";
        return "// " + title + "\ntypedef " + index + " Index;\n#include \"elementwise.cuh\"\n";
    }

    private static String alone(String title, Body body, long[] total) {
        return head(title, total)
                + "\nextern \"C\" __global__ void __launch_bounds__(256) elementwise(Index n" + body.parameters
                + ") {\n"
                + line("Index i = 4 * ((Index)blockIdx.x * 256 + (Index)threadIdx.x);")
                + line("if (i >= n) return;")
                + line("int lanes = n - i < 4 ? (int)(n - i) : 4;")
                + body.text + "}\n";
    }

    private static String behind(String title, IntegerForm layer, int planes, Body body, long[] total) {
        String bytes = ctype(layer.type());
        boolean direct = layer.direct();
        String call = direct
                ? "integer_outputs_direct<Index>(g, x, w, taps, filters, "
                : "integer_outputs_tile<Index, " + bytes + ", " + planes + ">(g, x, w, taps, filters, shared, ";
        return head(title, total) + "#include \"" + IntegerForm.HEADER + "\"\n\n"
                + "extern \"C\" __global__ void __launch_bounds__(256) integer_layer(IntegerLayer g, const " + bytes
                + "* __restrict__ x, const " + (direct ? "int" : "signed char") + "* __restrict__ w, "
                + "const int2* __restrict__ taps, const Filter* __restrict__ filters" + body.parameters + ") {\n"
                + (direct ? "" : line("__shared__ __align__(16) unsigned char shared[OUTPUT_BYTES];"))
                + line(call + "[=](Index i, int lanes, const float* y) {")
                + body.text + line("});") + "}\n";
    }

    private static String expression(ElementwiseProgram.Instruction instruction, List<Read> reads) {
        List<String> names =
                instruction.arguments().stream().map(v -> name(v, reads)).toList();
        String form =
                switch (instruction.code()) {
                    case QUANTIZE ->
                        "quantize(%s, %s, %s, "
                                + (instruction.type() == ElementType.UINT8 ? "0.0f, 255.0f" : "-128.0f, 127.0f") + ")";
                    default -> FORMS.get(instruction.code());
                };
        if (!FOLDED.contains(instruction.code())) {
            return String.format(form, names.toArray());
        }
        return names.stream()
                .reduce((all, next) -> String.format(form, all, next))
                .orElseThrow();
    }

    private static String name(ElementwiseProgram.Value value, List<Read> reads) {
        return switch (value.source()) {
            case INPUT -> "x" + value.index() + (reads.get(value.index()).layout() == Layout.VALUE ? "" : "[l]");
            case CONSTANT -> "c" + value.index();
            case MEMBER -> "v" + value.index() + "[l]";
        };
    }

    private static String line(String text) {
        return "    " + text + "\n";
    }

    private static String ctype(ElementType type) {
        return switch (type) {
            case FLOAT -> "float";
            case UINT8 -> "unsigned char";
            case INT8 -> "signed char";
            default -> throw new IllegalArgumentException(type + " is no type of the device");
        };
    }
}
