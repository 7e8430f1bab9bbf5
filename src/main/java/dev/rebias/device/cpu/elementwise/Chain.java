package dev.rebias.device.cpu.elementwise;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_0;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_primitive_desc_create;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.Resources;
import dev.rebias.device.cpu.elementwise.PostOps.Other;
import dev.rebias.device.cpu.elementwise.PostOps.Step;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.Primitive;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.IntToLongFunction;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/**
 * An elementwise program as oneDNN's binary primitives: a {@linkplain PostOps step} with a run of values or with a
 * whole tensor needs a primitive of its own, numbers and functions are its post-ops. Four times as fast as loops for a
 * bias and a quantiser.
 *
 * <p>The data are seen as rows of a run's length; what is left over is a short row of its own. Of several primitives
 * each leaves a block of rows to the next, that stays in the second-level cache.
 *
 * <p>Results may differ from the loops' in the last bit, and quantisers round the quotient that a float holds, as ONNX
 * Runtime's do, not the exact one. What is not a number becomes a bound in Relu, Clip, Max and Min. So a chain is for
 * what follows from a layer's output, where errors are measured before all of that.
 */
final class Chain implements AutoCloseable {
    /** The elements that several primitives work on in turn. */
    private static final int BLOCK = 1 << 16;

    private final CpuContext context;
    private final int run;
    private final int source;
    private final ElementType type;
    private final List<Stage> stages;
    private final PostOpOperands operands;

    private record Size(long rows, int length) {}

    /** All that a step's primitive is described with. */
    private record Description(Step step, ElementType result, Size size) {}

    /** A step by primitives of its own. */
    private final class Stage {
        private final Step step;
        private final ElementType result;
        private final Map<Size, Primitive> primitives = new ConcurrentHashMap<>();

        Stage(Step step, ElementType result) {
            this.step = step;
            this.result = result;
        }

        /** The primitive for that many rows of that length. */
        Primitive primitive(long rows, int length) {
            Size size = new Size(rows, length);
            Primitive known = primitives.get(size);
            return known != null
                    ? known
                    : primitives.computeIfAbsent(
                            size, k -> context.primitives().take(key(size), () -> make(rows, length)));
        }

        private Description key(Size size) {
            return new Description(step, result, size);
        }

        private Primitive make(long rows, int length) {
            context.scratch().stream();
            try (PrimitiveSpec spec = new PrimitiveSpec()) {
                List<Integer> arguments = new ArrayList<>(List.of(DNNL_ARG_SRC_0, DNNL_ARG_SRC_1, DNNL_ARG_DST));
                dnnl_memory_desc one = spec.plain(ElementType.FLOAT, 1, 1);
                arguments.addAll(step.append(spec, one));
                dnnl_memory_desc whole = spec.plain(ElementType.FLOAT, rows, length);
                dnnl_memory_desc second = step.other() instanceof Other.Constant
                        ? one
                        : step.other() instanceof Other.Whole ? whole : spec.plain(ElementType.FLOAT, 1, length);
                dnnl_primitive_desc description = new dnnl_primitive_desc();
                OneDnn.check(
                        dnnl_binary_primitive_desc_create(
                                description,
                                OneDnn.engine(),
                                step.algorithm(),
                                whole,
                                second,
                                spec.plain(result, rows, length),
                                spec.attributes()),
                        "dnnl_binary_primitive_desc_create");
                return new Primitive(
                        description,
                        arguments.stream().mapToInt(Integer::intValue).toArray());
            }
        }

        void close() {
            Resources all = new Resources();
            primitives
                    .keySet()
                    .forEach(size -> all.add(() -> context.primitives().give(key(size))));
            primitives.clear();
            all.close();
        }
    }

    private Chain(CpuContext context, PostOps.Translation program, int run) {
        this.context = context;
        this.run = run;
        this.source = program.source();
        this.type = program.steps().type();
        this.operands = new PostOpOperands(program, run);
        List<Step> steps = program.steps().steps();
        List<Stage> made = new ArrayList<>();
        for (Step step : steps) {
            made.add(new Stage(step, made.size() == steps.size() - 1 ? type : ElementType.FLOAT));
        }
        this.stages = List.copyOf(made);
    }

    /**
     * The chain of a program.
     *
     * @param form of inputs whose tiles are the runs that it is given, of at least one tile
     * @return empty if the program is none, or oneDNN has no fast code for it here
     */
    static Optional<Chain> of(CpuContext context, ElementwiseProgram program, ElementwiseForm form) {
        int run = form.tile();
        Optional<PostOps.Translation> steps = PostOps.of(program, form);
        if (run > Floats.WINDOW || steps.isEmpty()) {
            return Optional.empty();
        }
        Chain chain = new Chain(context, steps.get(), run);
        boolean fast = false;
        try {
            long rows = Math.min(form.unit() / run, chain.block(form.unit()));
            fast = chain.stages.stream()
                    .allMatch(stage -> stage.primitive(rows, run).isFast());
        } finally {
            if (!fast) {
                chain.close();
            }
        }
        return fast ? Optional.of(chain) : Optional.empty();
    }

    /**
     * Runs the chain over n elements from the one with that number.
     *
     * @param whole the address of an input that is read element by element
     * @param values a run of values that repeat
     * @param to the address of the output's first element
     */
    void run(IntToLongFunction whole, Function<Value, float[]> values, long first, long n, long to) {
        long[] runs = operands.runs(context.scratch(), values);
        long rows = n / run;
        long block = block(n);
        for (long row = 0; row < rows; row += block) {
            rows(whole, runs, first + row * run, Math.min(block, rows - row), run, to);
        }
        if (n % run != 0) {
            rows(whole, runs, first + rows * run, 1, Math.toIntExact(n % run), to);
        }
    }

    /** How many rows of n elements are worked on together. */
    private long block(long n) {
        return stages.size() == 1 ? n / run : Math.max(1, BLOCK / run);
    }

    private void rows(IntToLongFunction whole, long[] runs, long first, long rows, int length, long to) {
        ThreadScratch scratch = context.scratch();
        long x = whole.applyAsLong(source) + first * Float.BYTES;
        for (int s = 0; s < stages.size(); s++) {
            Stage stage = stages.get(s);
            Step step = stage.step;
            long y = s == stages.size() - 1 ? to + first * type.bytes() : scratch.between(rows * length * Float.BYTES);
            long[] addresses = new long[2 + step.operands()];
            addresses[0] = x;
            addresses[1] = step.other() instanceof Other.Constant number
                    ? operands.number(number.constant())
                    : step.other() instanceof Other.Whole input
                            ? whole.applyAsLong(input.input()) + first * Float.BYTES
                            : runs[s];
            addresses[2] = y;
            operands.numbers(step, addresses, 3);
            stage.primitive(rows, length).execute(scratch, addresses);
            x = y;
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        stages.forEach(s -> all.add(s::close));
        all.add(operands::close);
        all.close();
    }
}
