package dev.rebias.device.cpu;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_0;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_add;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_div;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_max;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_min;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_mul;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_sub;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_abs;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_clip;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_hardsigmoid;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_hardswish;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_linear;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_relu;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_round;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_sqrt;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.Resources;
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
 * An elementwise program as oneDNN's binary primitives, where each instruction works on the result of the one before and on numbers, runs of values that repeat, or a whole tensor: a
 * run or a tensor needs a primitive of its own, numbers and functions ride along as post-ops. Four times as fast as loops for a bias and a quantiser.
 *
 * <p>The data are seen as rows of a run's length; what is left over is a short row of its own. Of several primitives each leaves a block of rows to the next, that stays in the
 * second-level cache. Behind a layer on bytes, where all that repeats is one value per channel, everything rides along with the layer's own primitive.
 *
 * <p>Results may differ from the loops' in the last bit, and quantisers round the quotient that a float holds, as ONNX Runtime's do, not the exact one. What is not a number
 * becomes a bound in Relu, Clip, Max and Min. So a chain is for what follows from a layer's output, where errors are measured before all of that.
 */
final class Chain implements AutoCloseable {
    /** The elements that several primitives work on in turn. */
    private static final int BLOCK = 1 << 16;

    private final CpuContext context;
    private final int run;
    private final int source;
    private final ElementType type;
    private final List<Stage> stages;
    private final Floats numbers;
    private final Optional<Layer> layer;

    /** A layer in whose primitive the chain is, and its data's shape. */
    private record Layer(PreparedLayer prepared, long[] data) {}

    /** The chain as a layer's post-ops. */
    private record Tail(List<Draft> drafts, ElementType type) implements PreparedLayer.Tail {
        @Override
        public boolean hasBias() {
            return isBias(0);
        }

        private boolean isBias(int i) {
            return i == 0
                    && drafts.get(i).algorithm == dnnl_binary_add
                    && !(drafts.get(i).other instanceof Other.Constant);
        }

        @Override
        public List<Integer> append(Recipe recipe, dnnl_memory_desc vector, dnnl_memory_desc number) {
            List<Integer> arguments = new ArrayList<>();
            for (int i = 0; i < drafts.size(); i++) {
                Draft draft = drafts.get(i);
                boolean constant = draft.other instanceof Other.Constant;
                arguments.add(isBias(i) ? DNNL_ARG_BIAS : recipe.binary(draft.algorithm, constant ? number : vector));
                arguments.addAll(append(recipe, draft.then, number));
            }
            return arguments;
        }

        static List<Integer> append(Recipe recipe, List<PostOp> then, dnnl_memory_desc number) {
            List<Integer> arguments = new ArrayList<>();
            for (PostOp op : then) {
                if (op instanceof PostOp.Binary binary) {
                    arguments.add(recipe.binary(binary.algorithm(), number));
                } else {
                    PostOp.Function f = (PostOp.Function) op;
                    recipe.function(f.algorithm(), f.alpha(), f.beta());
                }
            }
            return arguments;
        }
    }

    /** What a binary primitive works on beside the chain's own value. */
    private sealed interface Other {
        /** The number at that place among the program's constants. */
        record Constant(int constant) implements Other {}

        /** Values that repeat. */
        record Repeated(Value values) implements Other {}

        /** Values that repeat, times others, plus others. */
        record RepeatedScaled(Value values, Value factors, Value summands) implements Other {}

        /** One of the program's inputs, element by element. */
        record Whole(int input) implements Other {}
    }

    /** What is done to a binary primitive's result: by one of oneDNN's functions, or with a number. */
    private sealed interface PostOp {
        record Function(int algorithm, float alpha, float beta) implements PostOp {}

        record Binary(int algorithm, int constant) implements PostOp {}
    }

    private record Size(long rows, int length) {}

    private final class Stage {
        private final int algorithm;
        private final Other other;
        private final List<PostOp> then;
        private final ElementType result;
        /** How many tensors it works on beside its own value. */
        private final int operands;

        private final Map<Size, Primitive> primitives = new ConcurrentHashMap<>();

        Stage(Draft draft, ElementType result) {
            this.algorithm = draft.algorithm;
            this.other = draft.other;
            this.then = List.copyOf(draft.then);
            this.operands = 1
                    + (int) then.stream()
                            .filter(PostOp.Binary.class::isInstance)
                            .count();
            this.result = result;
        }

        /** The primitive for that many rows of that length. */
        Primitive primitive(long rows, int length) {
            return primitives.computeIfAbsent(new Size(rows, length), k -> make(rows, length));
        }

        private Primitive make(long rows, int length) {
            context.lane().stream();
            try (Recipe recipe = new Recipe()) {
                List<Integer> arguments = new ArrayList<>(List.of(DNNL_ARG_SRC_0, DNNL_ARG_SRC_1, DNNL_ARG_DST));
                dnnl_memory_desc one = recipe.plain(ElementType.FLOAT, 1, 1);
                arguments.addAll(Tail.append(recipe, then, one));
                dnnl_memory_desc whole = recipe.plain(ElementType.FLOAT, rows, length);
                dnnl_memory_desc second = other instanceof Other.Constant
                        ? one
                        : other instanceof Other.Whole ? whole : recipe.plain(ElementType.FLOAT, 1, length);
                dnnl_primitive_desc description = new dnnl_primitive_desc();
                OneDnn.check(
                        dnnl_binary_primitive_desc_create(
                                description,
                                OneDnn.engine(),
                                algorithm,
                                whole,
                                second,
                                recipe.plain(result, rows, length),
                                recipe.attributes()),
                        "dnnl_binary_primitive_desc_create");
                return new Primitive(
                        description,
                        arguments.stream().mapToInt(Integer::intValue).toArray());
            }
        }

        void close() {
            Resources all = new Resources();
            primitives.values().forEach(p -> all.add(p::close));
            primitives.clear();
            all.close();
        }
    }

    /** A stage that may still grow. */
    private static final class Draft {
        private final int algorithm;
        private final Other other;
        private final List<PostOp> then = new ArrayList<>();

        Draft(int algorithm, Other other) {
            this.algorithm = algorithm;
            this.other = other;
        }
    }

    private Chain(CpuContext context, ElementwiseProgram program, int run, Builder built, Optional<Layer> layer) {
        this.context = context;
        this.run = run;
        this.layer = layer;
        this.source = built.source;
        this.type = program.outputTypes().get(0);
        this.numbers = new Floats(Math.max(1, built.numbers.size()));
        for (int i = 0; i < built.numbers.size(); i++) {
            numbers.values().put(i, built.numbers.get(i));
        }
        List<Stage> made = new ArrayList<>();
        for (Draft draft : built.drafts) {
            made.add(new Stage(draft, made.size() == built.drafts.size() - 1 ? type : ElementType.FLOAT));
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
        Builder builder = new Builder(program, form);
        if (run > Floats.WINDOW || !builder.build()) {
            return Optional.empty();
        }
        Chain chain = new Chain(context, program, run, builder, Optional.empty());
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
     * The chain of a program as part of the layer that makes one of its inputs: what is element by element is only that, and what repeats is one value per channel.
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
        Builder builder = new Builder(program, form);
        long channels = form.shape()[1];
        boolean fits = form.tile() <= Floats.WINDOW
                && form.units() == 1
                && operands.op().channelAxis(form.shape().length) == 1
                && Arrays.stream(form.periods()).allMatch(p -> p <= 1 || p == channels)
                && builder.build()
                && builder.source == input
                && builder.drafts.stream().noneMatch(d -> d.other instanceof Other.Whole);
        if (!fits) {
            return Optional.empty();
        }
        ElementType type = program.outputTypes().get(0);
        PreparedLayer layer = new PreparedConvolution(context, operands, Optional.of(new Tail(builder.drafts, type)));
        if (!layer.prepareBytes(data)) {
            layer.close();
            return Optional.empty();
        }
        return Optional.of(
                new Chain(context, program, form.tile(), builder, Optional.of(new Layer(layer, data.clone()))));
    }

    private static final class Builder {
        private final ElementwiseProgram program;
        private final ElementwiseForm form;
        private final List<Draft> drafts = new ArrayList<>();
        private final List<Float> numbers = new ArrayList<>();
        private int source;

        Builder(ElementwiseProgram program, ElementwiseForm form) {
            this.program = program;
            this.form = form;
            numbers.addAll(program.constants());
        }

        boolean build() {
            List<Instruction> instructions = program.instructions();
            Optional<Value> current = Optional.empty();
            for (int m = 0; m < instructions.size(); m++) {
                Value result = new Value(Value.Source.MEMBER, m);
                if (!form.varies(result)) {
                    continue;
                }
                Instruction instruction = instructions.get(m);
                List<Value> arguments = instruction.arguments();
                Value x = current.or(
                                () -> arguments.stream().filter(form::isWhole).findFirst())
                        .orElse(result);
                List<Value> others = new ArrayList<>(arguments);
                if (!others.remove(x) || others.stream().anyMatch(v -> form.varies(v) && !form.isWhole(v))) {
                    return false;
                }
                boolean last = program.outputs().equals(List.of(m));
                if (!add(instruction, arguments.indexOf(x), others, last)) {
                    return false;
                }
                if (current.isEmpty()) {
                    source = x.index();
                }
                current = Optional.of(result);
                if (last) {
                    return m == instructions.size() - 1;
                }
            }
            return false;
        }

        private boolean add(Instruction instruction, int position, List<Value> others, boolean last) {
            boolean first = position == 0;
            boolean numeric = others.stream().allMatch(v -> v.source() == Value.Source.CONSTANT);
            return switch (instruction.code()) {
                case ADD -> binary(dnnl_binary_add, others.get(0));
                case MUL -> binary(dnnl_binary_mul, others.get(0));
                case SUM -> others.size() == 1 && binary(dnnl_binary_add, others.get(0));
                case MAX -> others.size() == 1 && binary(dnnl_binary_max, others.get(0));
                case MIN -> others.size() == 1 && binary(dnnl_binary_min, others.get(0));
                case SUB -> first && binary(dnnl_binary_sub, others.get(0));
                case DIV -> first && binary(dnnl_binary_div, others.get(0));
                case SCALE_SHIFT -> first && scaleShift(others.get(0), others.get(1));
                case RELU -> function(dnnl_eltwise_relu, 0, 0);
                case ABS -> function(dnnl_eltwise_abs, 0, 0);
                case SQRT -> function(dnnl_eltwise_sqrt, 0, 0);
                case ROUND -> function(dnnl_eltwise_round, 0, 0);
                case NEG -> function(dnnl_eltwise_linear, -1, 0);
                case HARD_SWISH -> function(dnnl_eltwise_hardswish, 1f / 6, 0.5f);
                case HARD_SIGMOID ->
                    first && numeric && function(dnnl_eltwise_hardsigmoid, number(others, 0), number(others, 1));
                case CLIP ->
                    first
                            && numeric
                            && number(others, 0) <= number(others, 1)
                            && function(dnnl_eltwise_clip, number(others, 0), number(others, 1));
                case PRELU -> first && numeric && function(dnnl_eltwise_relu, number(others, 0), 0);
                case QUANTIZE -> first && numeric && last && quantize(others);
                default -> false;
            };
        }

        private float number(List<Value> others, int i) {
            return program.constants().get(others.get(i).index());
        }

        private boolean quantize(List<Value> others) {
            // What becomes an integer is rounded by that, to even as well.
            return number(others, 0) > 0
                    && binary(dnnl_binary_div, others.get(0))
                    && (number(others, 1) == 0
                            || (function(dnnl_eltwise_round, 0, 0)
                                    && function(dnnl_eltwise_linear, 1, number(others, 1))));
        }

        /** (x + v) a + b, v being of a run, is x a + (v a + b): one primitive less. */
        private boolean scaleShift(Value a, Value b) {
            int last = drafts.size() - 1;
            if (last < 0
                    || form.isWhole(a)
                    || form.isWhole(b)
                    || drafts.get(last).algorithm != dnnl_binary_add
                    || !drafts.get(last).then.isEmpty()
                    || !(drafts.get(last).other instanceof Other.Repeated repeated)) {
                return binary(dnnl_binary_mul, a) && binary(dnnl_binary_add, b);
            }
            drafts.remove(last);
            binary(dnnl_binary_mul, a);
            return drafts.add(new Draft(dnnl_binary_add, new Other.RepeatedScaled(repeated.values(), a, b)));
        }

        private boolean binary(int algorithm, Value other) {
            if (other.source() == Value.Source.CONSTANT && !drafts.isEmpty()) {
                then(new PostOp.Binary(algorithm, other.index()));
            } else if (other.source() == Value.Source.CONSTANT) {
                drafts.add(new Draft(algorithm, new Other.Constant(other.index())));
            } else {
                drafts.add(new Draft(
                        algorithm, form.isWhole(other) ? new Other.Whole(other.index()) : new Other.Repeated(other)));
            }
            return true;
        }

        private boolean function(int algorithm, float alpha, float beta) {
            if (drafts.isEmpty()) {
                numbers.add(1f);
                drafts.add(new Draft(dnnl_binary_mul, new Other.Constant(numbers.size() - 1)));
            }
            return then(new PostOp.Function(algorithm, alpha, beta));
        }

        private boolean then(PostOp op) {
            return drafts.get(drafts.size() - 1).then.add(op);
        }
    }

    /** What a chain is given for one run over memory. */
    interface Source {
        /** The address of an input that is read element by element. */
        long whole(int input);

        /** Values that repeat, a run of them. */
        float[] run(Value values);
    }

    /** Whether the output may take the place of that input: it is what the chain starts from, and each element is read before it is written. */
    boolean mayOverwrite(List<CpuTensor> inputs, CpuTensor input) {
        return layer.isEmpty() && type == ElementType.FLOAT && inputs.get(source) == input && input.hasOwnMemory();
    }

    /**
     * Runs the chain over n elements from the one with that number. Behind a layer these are all, and the source is the layer's data.
     *
     * @param to the address of the output's first element
     */
    void run(Source from, long first, long n, long to) {
        Lane lane = context.lane();
        long[] runs = new long[stages.size()];
        for (int s = 0; s < runs.length; s++) {
            Floats window = lane.window(s);
            runs[s] = window.address();
            if (stages.get(s).other instanceof Other.Repeated repeated) {
                window.values().put(0, from.run(repeated.values()), 0, run);
            } else if (stages.get(s).other instanceof Other.RepeatedScaled scaled) {
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
            long[] behind = new long[stages.stream().mapToInt(s -> s.operands).sum()];
            int at = 0;
            for (int s = 0; s < runs.length; s++) {
                Stage stage = stages.get(s);
                behind[at] = stage.other instanceof Other.Constant number ? number(number.constant()) : runs[s];
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
        Lane lane = context.lane();
        long x = from.whole(source) + first * Float.BYTES;
        for (int s = 0; s < stages.size(); s++) {
            Stage stage = stages.get(s);
            long y = s == stages.size() - 1 ? to + first * type.bytes() : lane.between(rows * length * Float.BYTES);
            long[] addresses = new long[2 + stage.operands];
            addresses[0] = x;
            addresses[1] = stage.other instanceof Other.Constant number
                    ? number(number.constant())
                    : stage.other instanceof Other.Whole whole
                            ? from.whole(whole.input()) + first * Float.BYTES
                            : runs[s];
            addresses[2] = y;
            numbers(stage, addresses, 3);
            stage.primitive(rows, length).execute(lane, addresses);
            x = y;
        }
    }

    /** Sets the addresses of the numbers that a stage's post-ops take; gives the place behind them. */
    private int numbers(Stage stage, long[] addresses, int first) {
        int at = first;
        for (PostOp op : stage.then) {
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
