package dev.rebias.device.cuda;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The kernel of a group of elementwise operations for inputs of certain shapes and types. The source holds how each input lies in memory (whole, one value,
 * one per channel, or any walk); sizes and numbers are arguments, so networks with many alike groups share kernels.
 *
 * @param source CUDA C++, with one kernel {@code elementwise}
 * @param reads how each input is read
 * @param shape the shape of the group's outputs
 * @param types their types of elements
 */
record ElementwiseKernel(String source, List<Read> reads, long[] shape, List<ElementType> types) {
    /** Beyond this, int is not enough for indices (with a block of threads to spare). */
    private static final long INT_ELEMENTS = (1L << 31) - (1 << 12);

    private static final Pattern REFERENCE = Pattern.compile("\\{(\\d+)}|\\[(\\d+)]|<(\\d+)>");

    /** How an input lies in memory, seen from the group's shape. */
    enum Layout {
        /** Element by element. */
        WHOLE,
        /** One value for all. */
        VALUE,
        /** Index {@code i / inner % channels}. */
        CHANNEL,
        /** Anything else that broadcasts. */
        WALK
    }

    /** How an input is read: its layout and what that needs. */
    record Read(Layout layout, ElementType type, long inner, long channels, Optional<Walk> walk) {}

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
        List<long[]> memberShapes = new ArrayList<>();
        for (ElementwiseProgram.Shapes member : program.members()) {
            long[] shape = {};
            for (int i : member.inputs()) {
                shape = Shape.broadcast(shape, shapes.get(i));
            }
            for (int m : member.members()) {
                shape = Shape.broadcast(shape, memberShapes.get(m));
            }
            memberShapes.add(shape);
        }
        long[] total = {};
        for (long[] shape : memberShapes) {
            total = Shape.broadcast(total, shape);
        }
        for (int output : program.outputs()) {
            if (!Arrays.equals(memberShapes.get(output), total)) {
                return Optional.empty();
            }
        }
        List<Read> reads = new ArrayList<>();
        for (int i = 0; i < shapes.size(); i++) {
            Optional<Read> read = read(shapes.get(i), program.inputs().get(i).axis(), inputTypes.get(i), total);
            if (read.isEmpty()) {
                return Optional.empty();
            }
            reads.add(read.get());
        }
        List<ElementType> types =
                program.outputs().stream().map(program.types()::get).toList();
        return Optional.of(new ElementwiseKernel(source(title, program, reads, total, types), reads, total, types));
    }

    private static Optional<Read> read(long[] shape, int axis, ElementType type, long[] total) {
        long[] aligned = new long[total.length];
        Arrays.fill(aligned, 1);
        if (axis == ElementwiseProgram.Input.TRAILING) {
            System.arraycopy(shape, 0, aligned, total.length - shape.length, shape.length);
        } else {
            int at = axis < 0 ? axis + total.length : axis;
            if (at >= total.length || total[at] != shape[0]) {
                throw new IllegalArgumentException("one value for each of " + shape[0] + " channels along axis " + axis
                        + " does not fit data of shape " + Shape.text(total));
            }
            aligned[at] = shape[0];
        }
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
        return Walk.paired(total, Copies.broadcastStrides(aligned, total))
                .map(w -> new Read(Layout.WALK, type, 1, 1, Optional.of(w)));
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
                case WALK -> {
                    parameters.append(", Walk walk").append(i);
                    body.append(
                            line(String.format("float x%d[4]; load_walk(p%d, i, lanes, walk%d, x%d);", i, i, i, i)));
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
        for (int m = 0; m < program.lines().size(); m++) {
            String expression = REFERENCE.matcher(program.lines().get(m)).replaceAll(r -> reference(r, reads));
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

    private static String reference(java.util.regex.MatchResult r, List<Read> reads) {
        if (r.group(1) != null) {
            boolean value = reads.get(Integer.parseInt(r.group(1))).layout() == Layout.VALUE;
            return Matcher.quoteReplacement("x" + r.group(1) + (value ? "" : "[l]"));
        }
        return r.group(2) != null ? "c" + r.group(2) : Matcher.quoteReplacement("v" + r.group(3) + "[l]");
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
