package dev.rebias.device.cpu.elementwise;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_add;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_div;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_max;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_min;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_mul;
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
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_memory_desc;

/**
 * An elementwise program as what oneDNN does to a primitive's result: steps, each on the result of the one before and
 * on something beside it.
 *
 * @param type of what leaves the last one
 */
public record PostOps(List<Step> steps, ElementType type) {
    /** From how many elements of a sample on making primitives is worth while. */
    private static final int LEAST_ELEMENTS = 2048;

    /**
     * What a program became.
     *
     * @param numbers the program's constants, and what steps need besides
     * @param source the program's input that the first step works on
     */
    public record Translation(PostOps steps, List<Float> numbers, int source) {}

    /** What a binary primitive works on beside the chain's own value. */
    sealed interface Other {
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
    sealed interface PostOp {
        record Function(int algorithm, float alpha, float beta) implements PostOp {}

        record Binary(int algorithm, int constant) implements PostOp {}
    }

    /** A binary operation, and what is done to its result. */
    record Step(int algorithm, Other other, List<PostOp> then) {
        /** How many tensors it works on beside its own value. */
        int operands() {
            return 1
                    + (int) then.stream()
                            .filter(PostOp.Binary.class::isInstance)
                            .count();
        }

        /**
         * Appends what is done to the result to a primitive's post-ops.
         *
         * @param number how a single value lies
         * @return the numbers of the arguments that they take, in order
         */
        public List<Integer> append(PrimitiveSpec spec, dnnl_memory_desc number) {
            List<Integer> arguments = new ArrayList<>();
            for (PostOp op : then) {
                if (op instanceof PostOp.Binary binary) {
                    arguments.add(spec.binary(binary.algorithm(), number));
                } else {
                    PostOp.Function f = (PostOp.Function) op;
                    spec.function(f.algorithm(), f.alpha(), f.beta());
                }
            }
            return arguments;
        }
    }

    /**
     * Whether oneDNN is to run a group. Not in every layout: where dimension 1 runs fastest axis 0 is the samples', and
     * what runs the group does not depend on how many there are.
     */
    public static boolean suit(ElementwiseGroup group, ElementwiseProgram program, ElementwiseForm form) {
        // On processors without instructions for bytes quantisers are the loops'.
        return group.computed()
                && form.layout() == Layout.CHANNELS_LAST
                && form.sample() >= LEAST_ELEMENTS
                && program.outputs().size() == 1
                && program.inputs().stream().noneMatch(ElementwiseProgram.Input::quantized)
                && OneDnn.multipliesBytes();
    }

    /** The steps of a program with one output, empty if oneDNN has none for it. */
    public static Optional<Translation> of(ElementwiseProgram program, ElementwiseForm form) {
        Builder builder = new Builder(program, form);
        return builder.build()
                ? Optional.of(new Translation(
                        new PostOps(builder.steps, program.outputTypes().get(0)), builder.numbers, builder.source))
                : Optional.empty();
    }

    /**
     * Whether they begin by adding one value per channel, which is then a layer's primitive's bias and the first of
     * what it takes.
     */
    public boolean hasBias() {
        return steps.get(0).algorithm() == dnnl_binary_add && !(steps.get(0).other() instanceof Other.Constant);
    }

    /** Whether a step reads another tensor element by element. */
    public boolean readWhole() {
        return steps.stream().anyMatch(step -> step.other() instanceof Other.Whole);
    }

    /** How many tensors they take. */
    int operands() {
        return steps.stream().mapToInt(Step::operands).sum();
    }

    /**
     * Appends them to a layer's primitive, of whose output all that repeats is one value per channel.
     *
     * @param vector how one value per channel lies
     * @param number how a single value does
     * @return the numbers of the arguments that they take, in order
     */
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

    private static final class Builder {
        private final ElementwiseProgram program;
        private final ElementwiseForm form;
        private final List<Step> steps = new ArrayList<>();
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
            int last = steps.size() - 1;
            if (last < 0
                    || form.isWhole(a)
                    || form.isWhole(b)
                    || steps.get(last).algorithm() != dnnl_binary_add
                    || !steps.get(last).then().isEmpty()
                    || !(steps.get(last).other() instanceof Other.Repeated repeated)) {
                return binary(dnnl_binary_mul, a) && binary(dnnl_binary_add, b);
            }
            steps.remove(last);
            binary(dnnl_binary_mul, a);
            return steps.add(step(dnnl_binary_add, new Other.RepeatedScaled(repeated.values(), a, b)));
        }

        private boolean binary(int algorithm, Value other) {
            if (other.source() == Value.Source.CONSTANT && !steps.isEmpty()) {
                then(new PostOp.Binary(algorithm, other.index()));
            } else if (other.source() == Value.Source.CONSTANT) {
                steps.add(step(algorithm, new Other.Constant(other.index())));
            } else {
                steps.add(step(
                        algorithm, form.isWhole(other) ? new Other.Whole(other.index()) : new Other.Repeated(other)));
            }
            return true;
        }

        private static Step step(int algorithm, Other other) {
            return new Step(algorithm, other, new ArrayList<>());
        }

        private boolean function(int algorithm, float alpha, float beta) {
            if (steps.isEmpty()) {
                numbers.add(1f);
                steps.add(step(dnnl_binary_mul, new Other.Constant(numbers.size() - 1)));
            }
            return then(new PostOp.Function(algorithm, alpha, beta));
        }

        private boolean then(PostOp op) {
            return steps.get(steps.size() - 1).then().add(op);
        }
    }
}
