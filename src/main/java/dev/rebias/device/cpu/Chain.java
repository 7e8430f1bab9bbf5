package dev.rebias.device.cpu;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_0;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_add;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_primitive_desc_create;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.Resources;
import dev.rebias.device.cpu.ChainSteps.Other;
import dev.rebias.device.cpu.ChainSteps.PostOp;
import dev.rebias.device.cpu.ChainSteps.Step;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/**
 * An elementwise program as oneDNN's binary primitives, where each instruction works on the result of the one before
 * and on numbers, runs of values that repeat, or a whole tensor: a run or a tensor needs a primitive of its own,
 * numbers and functions ride along as post-ops. Four times as fast as loops for a bias and a quantiser.
 *
 * <p>The data are seen as rows of a run's length; what is left over is a short row of its own. Of several primitives
 * each leaves a block of rows to the next, that stays in the second-level cache. Behind a convolution, where all that
 * repeats is one value per channel, everything rides along with the layer's own primitive.
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
    /** How many all stages take, each its post-ops' too. */
    private final int operands;

    private final Floats numbers;
    private final Optional<Layer> layer;

    /** A layer in whose primitive the chain is, and its data's shape. */
    private record Layer(PreparedLayer prepared, long[] data) {}

    /** The chain as a layer's post-ops. */
    private record Tail(List<Step> steps, ElementType type) implements PreparedLayer.Tail {
        @Override
        public boolean hasBias() {
            return steps.get(0).algorithm() == dnnl_binary_add && !(steps.get(0).other() instanceof Other.Constant);
        }

        @Override
        public List<Integer> append(PrimitiveSpec spec, dnnl_memory_desc vector, dnnl_memory_desc number) {
            List<Integer> arguments = new ArrayList<>();
            for (int i = 0; i < steps.size(); i++) {
                Step step = steps.get(i);
                dnnl_memory_desc other = step.other() instanceof Other.Constant ? number : vector;
                arguments.add(i == 0 && hasBias() ? DNNL_ARG_BIAS : spec.binary(step.algorithm(), other));
                arguments.addAll(step.append(spec, number));
            }
            return arguments;
        }
    }

    private record Size(long rows, int length) {}

    /** All that a step's primitive is described with. */
    private record Description(Step step, ElementType result, Size size) {}

    /** A step by primitives of its own. */
    private final class Stage {
        private final Step step;
        private final ElementType result;
        private final int operands;
        private final Map<Size, Primitive> primitives = new ConcurrentHashMap<>();

        Stage(Step step, ElementType result) {
            this.step = step;
            this.operands = step.operands();
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

    private Chain(CpuContext context, ElementType type, int run, ChainSteps steps, Optional<Layer> layer) {
        this.context = context;
        this.run = run;
        this.layer = layer;
        this.source = steps.source();
        this.type = type;
        this.numbers = new Floats(Math.max(1, steps.numbers().size()));
        for (int i = 0; i < steps.numbers().size(); i++) {
            numbers.values().put(i, steps.numbers().get(i));
        }
        List<Stage> made = new ArrayList<>();
        for (Step step : steps.steps()) {
            made.add(new Stage(step, made.size() == steps.steps().size() - 1 ? type : ElementType.FLOAT));
        }
        this.stages = List.copyOf(made);
        this.operands = made.stream().mapToInt(s -> s.operands).sum();
    }

    /**
     * The chain of a program.
     *
     * @param form of inputs whose tiles are the runs that it is given, of at least one tile
     * @return empty if the program is none, or oneDNN has no fast code for it here
     */
    static Optional<Chain> of(CpuContext context, ElementwiseProgram program, ElementwiseForm form) {
        int run = form.tile();
        Optional<ChainSteps> steps = ChainSteps.of(program, form);
        if (run > Floats.WINDOW || steps.isEmpty()) {
            return Optional.empty();
        }
        Chain chain = new Chain(context, program.outputTypes().get(0), run, steps.get(), Optional.empty());
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
     * The chain of a program as part of the layer that makes one of its inputs: what is element by element is only
     * that, and what repeats is one value per channel.
     *
     * @param form of inputs where that one is the layer's output
     * @param input that input
     * @param data the shape of the layer's data
     * @return empty if the program is no such chain, or oneDNN has no fast code for it here
     */
    static Optional<Chain> behind(
            CpuContext context,
            LayerOperands operands,
            long[] data,
            ElementwiseProgram program,
            ElementwiseForm form,
            int input) {
        Optional<ChainSteps> steps = ChainSteps.of(program, form);
        long channels = form.shape()[1];
        boolean fits = form.tile() <= Floats.WINDOW
                && form.units() == 1
                && operands.op().channelAxis(form.shape().length) == 1
                && Arrays.stream(form.periods()).allMatch(p -> p <= 1 || p == channels)
                && steps.isPresent()
                && steps.get().source() == input
                && steps.get().steps().stream().noneMatch(step -> step.other() instanceof Other.Whole);
        if (!fits) {
            return Optional.empty();
        }
        ElementType type = program.outputTypes().get(0);
        // oneDNN's fast convolutions of floats leave floats, and a second vector takes them as long as a pass over
        // memory.
        boolean light = type == ElementType.FLOAT && steps.get().steps().size() == 1;
        if (operands.dataType().isEmpty() && !light) {
            return Optional.empty();
        }
        Tail tail = new Tail(steps.get().steps(), type);
        PreparedLayer layer = new PreparedConvolution(context, operands, Optional.of(tail));
        Optional<Chain> made = Optional.empty();
        try {
            if (layer.prepare(data)) {
                made = Optional.of(new Chain(
                        context, type, form.tile(), steps.get(), Optional.of(new Layer(layer, data.clone()))));
            }
        } finally {
            if (made.isEmpty()) {
                layer.close();
            }
        }
        return made;
    }

    /** What a chain is given for one run over memory. */
    interface Source {
        /** The address of an input that is read element by element. */
        long whole(int input);

        /** Values that repeat, a run of them. */
        float[] run(Value values);
    }

    /**
     * Whether the output may take the place of that input: it is what the chain starts from, and each element is read
     * before it is written.
     */
    boolean mayOverwrite(List<CpuTensor> inputs, CpuTensor input) {
        return layer.isEmpty() && type == ElementType.FLOAT && inputs.get(source) == input && input.hasOwnMemory();
    }

    /**
     * Runs the chain over n elements from the one with that number. Behind a layer these are all, and the source is the
     * layer's data.
     *
     * @param to the address of the output's first element
     */
    void run(Source from, long first, long n, long to) {
        ThreadScratch scratch = context.scratch();
        long[] runs = new long[stages.size()];
        for (int s = 0; s < runs.length; s++) {
            Floats window = scratch.window(s);
            runs[s] = window.address();
            if (stages.get(s).step.other() instanceof Other.Repeated repeated) {
                window.values().put(0, from.run(repeated.values()), 0, run);
            } else if (stages.get(s).step.other() instanceof Other.RepeatedScaled scaled) {
                float[] values = new float[run];
                ElementLoops.scaleShift(
                        from.run(scaled.values()),
                        from.run(scaled.factors()),
                        from.run(scaled.summands()),
                        values,
                        run);
                window.values().put(0, values, 0, run);
            }
        }
        if (layer.isPresent()) {
            long[] behind = new long[operands];
            int at = 0;
            for (int s = 0; s < runs.length; s++) {
                Stage stage = stages.get(s);
                behind[at] = stage.step.other() instanceof Other.Constant number ? number(number.constant()) : runs[s];
                at = numbers(stage, behind, at + 1);
            }
            layer.get().prepared().run(layer.get().data(), from.whole(source), to, behind);
            return;
        }
        long rows = n / run;
        long block = block(n);
        for (long row = 0; row < rows; row += block) {
            rows(from, runs, first + row * run, Math.min(block, rows - row), run, to);
        }
        if (n % run != 0) {
            rows(from, runs, first + rows * run, 1, Math.toIntExact(n % run), to);
        }
    }

    /** How many rows of n elements are worked on together. */
    private long block(long n) {
        return stages.size() == 1 ? n / run : Math.max(1, BLOCK / run);
    }

    private void rows(Source from, long[] runs, long first, long rows, int length, long to) {
        ThreadScratch scratch = context.scratch();
        long x = from.whole(source) + first * Float.BYTES;
        for (int s = 0; s < stages.size(); s++) {
            Stage stage = stages.get(s);
            long y = s == stages.size() - 1 ? to + first * type.bytes() : scratch.between(rows * length * Float.BYTES);
            long[] addresses = new long[2 + stage.operands];
            addresses[0] = x;
            addresses[1] = stage.step.other() instanceof Other.Constant number
                    ? number(number.constant())
                    : stage.step.other() instanceof Other.Whole whole
                            ? from.whole(whole.input()) + first * Float.BYTES
                            : runs[s];
            addresses[2] = y;
            numbers(stage, addresses, 3);
            stage.primitive(rows, length).execute(scratch, addresses);
            x = y;
        }
    }

    /** Sets the addresses of the numbers that a stage's post-ops take; gives the place behind them. */
    private int numbers(Stage stage, long[] addresses, int first) {
        int at = first;
        for (PostOp op : stage.step.then()) {
            if (op instanceof PostOp.Binary binary) {
                addresses[at++] = number(binary.constant());
            }
        }
        return at;
    }

    private long number(int constant) {
        return numbers.address() + (long) constant * Float.BYTES;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        stages.forEach(s -> all.add(s::close));
        layer.ifPresent(l -> all.add(l.prepared()::close));
        all.add(numbers::close);
        all.close();
    }
}
