package dev.rebias.device.cpu;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * A group of elementwise operations in one pass over memory: by oneDNN where they are a {@link Chain}; else tile by
 * tile, each small enough for the first-level cache, one {@linkplain ElementLoops loop} per member. What follows from
 * values that repeat is worked out once, or once per sample. Where one pass is not possible (other types, outputs of
 * different shapes, broadcasting that does not line up with memory, functions without a loop) its members run one by
 * one, and a single member in ONNX Runtime.
 */
final class PreparedElementwise implements PreparedOp {
    /** From how many elements of a sample on making primitives is worth while. */
    private static final int LEAST_FOR_CHAIN = 2048;

    /**
     * For how many shapes of a layer's data there may be primitives that end with the group; each has its own copy of
     * the weights.
     */
    private static final int SHAPES_BEHIND = 16;

    private final CpuContext context;
    private final List<Operand> operands;
    private final PreparedOp otherwise;
    private final Optional<ElementwiseProgram> program;
    private final ElementLoops.Loop[] loops;
    private final boolean computed;
    /** For each of the program's inputs that is constant the tensor. */
    private final List<Optional<CpuTensor>> constants = new ArrayList<>();

    private final Map<ShapeKey, Optional<Variant>> variants = new ConcurrentHashMap<>();
    /** How many shapes of a layer's data there have been. */
    private final AtomicInteger shapesBehind = new AtomicInteger();

    /**
     * A form of the inputs, and what runs it.
     *
     * @param constants arrays of a tile's length for the program's numbers
     * @param chain how oneDNN runs it, where that can
     * @param runs for each repeated input what was repeated last: a corrected bias is the same for all batches, a
     *     constant always
     */
    record Variant(ElementwiseForm form, float[][] constants, Optional<Chain> chain, AtomicReferenceArray<Run> runs) {}

    /** The layer that makes an operand. */
    private record Before(LayerOperands layer, int operand) {
        boolean makes(ElementwiseProgram.Input input) {
            return input.vector().isEmpty() && input.operand() == operand;
        }
    }

    /** A tile of values that repeat, and the tensor that they are from. */
    record Run(CpuTensor of, float[] values) {}

    /**
     * Prepares a group.
     *
     * @param otherwise what runs it where one pass cannot; becomes this object's to close
     */
    PreparedElementwise(CpuContext context, ElementwiseGroup group, List<Operand> operands, PreparedOp otherwise) {
        this.context = context;
        this.operands = List.copyOf(operands);
        this.otherwise = otherwise;
        this.computed = group.computed();
        this.program = ElementwiseProgram.of(group, operands)
                .filter(p -> p.instructions().stream().allMatch(i -> loop(i).isPresent()));
        this.loops = program.stream()
                .flatMap(p -> p.instructions().stream())
                .map(i -> loop(i).orElseThrow())
                .toArray(ElementLoops.Loop[]::new);
        try {
            for (ElementwiseProgram.Input input :
                    program.map(ElementwiseProgram::inputs).orElse(List.of())) {
                constants.add(constant(input).map(c -> CpuDevice.upload(context, c)));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private static Optional<ElementLoops.Loop> loop(Instruction instruction) {
        return instruction.code() == Code.QUANTIZE
                ? Optional.of(Quantizer.loop(instruction))
                : ElementLoops.of(instruction.code());
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        return onePass(Optional.empty(), variables, Optional.empty()).orElseGet(() -> otherwise.run(variables));
    }

    @Override
    public List<Tensor> run(List<Tensor> variables, int last) {
        return onePass(Optional.empty(), variables, Optional.of((CpuTensor) variables.get(last)))
                .orElseGet(() -> otherwise.run(variables));
    }

    /**
     * Runs the group and the layer that makes one of its operands, by the layer's primitive.
     *
     * @param operand that operand
     * @param variables the group's, with the layer's data in the place of its output
     * @return empty where that cannot be done
     */
    Optional<List<Tensor>> runBehind(LayerOperands layer, int operand, List<Tensor> variables) {
        return onePass(Optional.of(new Before(layer, operand)), variables, Optional.empty());
    }

    /** Runs the group in one pass, if there is one. What is wanted no more may become the output. */
    private Optional<List<Tensor>> onePass(
            Optional<Before> before, List<Tensor> variables, Optional<CpuTensor> unwanted) {
        if (program.isEmpty()) {
            return Optional.empty();
        }
        List<CpuTensor> given = given(variables);
        List<long[]> shapes = new ArrayList<>(given.size());
        long[] key = new long[given.size() * (2 + most(given))];
        int at = 0;
        for (int i = 0; i < given.size(); i++) {
            CpuTensor x = given.get(i);
            ElementwiseProgram.Input input = program.get().inputs().get(i);
            boolean isData = before.isPresent() && before.get().makes(input);
            if (isData ? !before.get().layer().takesBeforeTail(x) : !suits(x.type(), input.quantized())) {
                return Optional.empty();
            }
            long[] shape = x.shape();
            shapes.add(isData ? before.get().layer().outputShape(shape) : shape);
            key[at++] = shape.length;
            key[at++] = isData ? 2 : x.lies(Layout.PLAIN) ? 1 : 0;
            for (long dimension : shape) {
                key[at++] = dimension;
            }
        }
        return variants.computeIfAbsent(new ShapeKey(key), k -> variant(given, shapes, before))
                .map(variant -> run(variant, given, unwanted));
    }

    /** The highest rank. */
    private static int most(List<CpuTensor> tensors) {
        int most = 0;
        for (CpuTensor x : tensors) {
            most = Math.max(most, x.rank());
        }
        return most;
    }

    private static boolean suits(ElementType type, boolean quantized) {
        return quantized ? type == ElementType.UINT8 || type == ElementType.INT8 : type == ElementType.FLOAT;
    }

    /** For each of the program's inputs the tensor. */
    private List<CpuTensor> given(List<Tensor> variables) {
        CpuTensor[] byOperand = new CpuTensor[operands.size()];
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                byOperand[i] = (CpuTensor) variables.get(next++);
            }
        }
        List<ElementwiseProgram.Input> inputs = program.orElseThrow().inputs();
        List<CpuTensor> given = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            given.add(
                    constants.get(i).isPresent()
                            ? constants.get(i).get()
                            : byOperand[inputs.get(i).operand()]);
        }
        return given;
    }

    private Optional<HostTensor> constant(ElementwiseProgram.Input input) {
        if (input.vector().isPresent()) {
            return input.vector();
        }
        return operands.get(input.operand()) instanceof Operand.Constant c ? Optional.of(c.value()) : Optional.empty();
    }

    private Optional<Variant> variant(List<CpuTensor> given, List<long[]> shapes, Optional<Before> before) {
        boolean last = before.isPresent() || given.stream().anyMatch(t -> !t.lies(Layout.PLAIN));
        ElementwiseProgram p = program.orElseThrow();
        Optional<ElementwiseForm> found =
                ElementwiseForm.of(p, shapes, i -> constants.get(i).isPresent(), last);
        if (found.isEmpty()) {
            return Optional.empty();
        }
        ElementwiseForm form = found.get();
        Optional<Chain> chain = Optional.empty();
        if (mayBeChain(form)) {
            chain = before.isPresent() ? behind(before.get(), given, form) : Chain.of(context, p, form);
        }
        if (before.isPresent() && chain.isEmpty()) {
            return Optional.empty();
        }
        float[][] numbers = new float[p.constants().size()][form.tile()];
        for (int i = 0; i < numbers.length; i++) {
            Arrays.fill(numbers[i], p.constants().get(i));
        }
        return Optional.of(new Variant(form, numbers, chain, new AtomicReferenceArray<>(shapes.size())));
    }

    private Optional<Chain> behind(Before before, List<CpuTensor> given, ElementwiseForm form) {
        ElementwiseProgram p = program.orElseThrow();
        for (int i = 0; i < given.size(); i++) {
            // Of one sample its own values look like ones for all: what becomes of it must not depend on the batch.
            if (form.kinds().get(i) == ElementwiseForm.Kind.REPEATED
                    && form.periods()[i] > 1
                    && constants.get(i).isEmpty()
                    && given.get(i).rank() == form.shape().length) {
                return Optional.empty();
            }
        }
        for (int i = 0; i < given.size(); i++) {
            if (before.makes(p.inputs().get(i))) {
                return shapesBehind.getAndIncrement() < SHAPES_BEHIND
                        ? Chain.behind(context, before.layer(), given.get(i).shape(), p, form, i)
                        : Optional.empty();
            }
        }
        return Optional.empty();
    }

    /**
     * Whether oneDNN is to run the group. Not in every layout: where dimension 1 runs fastest axis 0 is the samples',
     * and whether there is a chain does not depend on how many there are.
     */
    private boolean mayBeChain(ElementwiseForm form) {
        ElementwiseProgram p = program.orElseThrow();
        // On processors without instructions for bytes quantisers are the loops'.
        return computed
                && form.layout() == Layout.CHANNELS_LAST
                && form.sample() >= LEAST_FOR_CHAIN
                && p.outputs().size() == 1
                && p.inputs().stream().noneMatch(ElementwiseProgram.Input::quantized)
                && OneDnn.multipliesBytes();
    }

    private List<Tensor> run(Variant variant, List<CpuTensor> given, Optional<CpuTensor> unwanted) {
        ElementwiseForm form = variant.form();
        ElementwiseProgram p = program.orElseThrow();
        Resources temporary = new Resources();
        List<CpuTensor> outputs = new ArrayList<>();
        try {
            List<CpuTensor> inputs = new ArrayList<>();
            for (int i = 0; i < given.size(); i++) {
                CpuTensor x = given.get(i);
                if (!x.lies(form.layout())) {
                    x = context.layouts().in(form.layout(), x);
                    temporary.add(x::close);
                }
                inputs.add(x);
            }
            Optional<CpuTensor> over = unwanted.filter(
                    x -> variant.chain().filter(c -> c.mayOverwrite(inputs, x)).isPresent());
            over.ifPresent(x -> outputs.add(x.reshape(form.layout(), form.shape())));
            for (int output : over.isPresent() ? List.<Integer>of() : p.outputs()) {
                Instruction made = p.instructions().get(output);
                outputs.add(CpuTensor.allocate(context, made.type(), form.layout(), form.shape()));
            }
            new ElementwisePass(context, p, loops, variant, inputs, outputs).run();
            return List.copyOf(outputs);
        } catch (RuntimeException | Error e) {
            outputs.forEach(CpuTensor::close);
            throw e;
        } finally {
            temporary.close();
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        variants.values().forEach(w -> w.flatMap(Variant::chain).ifPresent(c -> all.add(c::close)));
        variants.clear();
        constants.forEach(c -> c.ifPresent(t -> all.add(t::close)));
        all.close();
    }
}
