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
 * The kernel of a group of elementwise operations for inputs of certain shapes and types. The source holds how each
 * input lies in memory (whole, one value, one per channel, or any strided index); sizes and numbers are arguments, so
 * networks with many alike groups share kernels.
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
        INDEX
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
        return Optional.of(new ElementwiseKernel(source(title, program, reads, total, types), reads, total, types));
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

    private static String source(
            String title, ElementwiseProgram program, List<Read> reads, long[] total, List<ElementType> types) {
        StringBuilder parameters = new StringBuilder("Index n");
        StringBuilder body = new StringBuilder();
        for (int i = 0; i < reads.size(); i++) {
            Read read = reads.get(i);
            parameters
                    .append(", const ")
                    .append(ctype(read.type()))
                    .append("* __restrict__ p")
                    .append(i);
            switch (read.layout()) {
                case WHOLE -> body.append(line(String.format("float x%d[4]; load(p%d, i, lanes, x%d);", i, i, i)));
                case VALUE -> body.append(line(String.format("float x%d = p%d[0];", i, i)));
                case CHANNEL -> {
                    parameters.append(String.format(", Index inner%d, Index channels%d", i, i));
                    body.append(line(String.format(
                            "float x%d[4]; load_channel(p%d, i, lanes, inner%d, channels%d, x%d);", i, i, i, i, i)));
                }
                case INDEX -> {
                    parameters.append(", StridedIndex index").append(i);
                    body.append(
                            line(String.format("float x%d[4]; load_index(p%d, i, lanes, index%d, x%d);", i, i, i, i)));
                }
            }
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
            body.append(
                    line(String.format("float v%d[4]; for (int l = 0; l < 4; l++) v%d[l] = %s;", m, m, expression)));
        }
        for (int o = 0; o < types.size(); o++) {
            body.append(line(String.format(
                    "store(o%d, i, lanes, v%d);", o, program.outputs().get(o))));
        }
        String index = Shape.elements(total) < INT_ELEMENTS ? "int" : "long long";
        return "// " + title + "\ntypedef " + index + " Index;\n#include \"elementwise.cuh\"\n\n"
                + "extern \"C\" __global__ void __launch_bounds__(256) elementwise(" + parameters + ") {\n"
                + line("Index i = 4 * ((Index)blockIdx.x * 256 + (Index)threadIdx.x);")
                + line("if (i >= n) return;")
                + line("int lanes = n - i < 4 ? (int)(n - i) : 4;")
                + body + "}\n";
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
