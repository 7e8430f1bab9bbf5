package dev.rebias.device.cpu.layer;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.elementwise.ElementLoops;
import dev.rebias.device.cpu.elementwise.ElementwiseForm;
import dev.rebias.device.cpu.elementwise.ElementwisePass;
import dev.rebias.device.cpu.elementwise.ElementwiseVariant;
import dev.rebias.device.cpu.elementwise.GroupInputs;
import dev.rebias.device.cpu.elementwise.PostOpOperands;
import dev.rebias.device.cpu.elementwise.PostOps;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.LayerGroup;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/**
 * A layer and the group after it, as {@link PostOps} of the layer's primitive: its output as floats is never in memory.
 * That works where all that repeats in the group is one value per channel, and nothing else is read element by element;
 * otherwise the layer and the group run in turn.
 */
public final class FusedLayer implements PreparedOp {
    /** For how many shapes of data there may be primitives; each has its own copy of the weights. */
    private static final int SHAPES = 16;

    private final CpuContext context;
    private final LayerOperands layer;
    private final ElementwiseGroup group;
    private final LayerThenGroup inTurn;
    private final Optional<Program> program;
    private final Map<ShapeKey, Optional<Variant>> variants = new ConcurrentHashMap<>();
    private final AtomicInteger shapes = new AtomicInteger();

    /**
     * The group's program.
     *
     * @param data which of its inputs is the layer's output; the layer's data are in its place
     */
    private record Program(ElementwiseProgram p, ElementLoops.Loop[] loops, GroupInputs inputs, int data) {}

    /** What runs both on inputs of certain shapes. */
    private record Variant(ElementwiseVariant repeats, PreparedLayer layer, PostOpOperands operands) {
        void close() {
            Resources both = new Resources();
            both.add(layer::close);
            both.add(operands::close);
            both.close();
        }
    }

    /**
     * Prepares both.
     *
     * @param operands the group's, then the layer's own
     * @param inTurn what runs them one after the other; becomes this object's to close
     */
    public FusedLayer(CpuContext context, LayerGroup op, List<Operand> operands, LayerThenGroup inTurn) {
        this.context = context;
        this.layer = LayerOperands.of(op.layer(), LayerThenGroup.ofLayer(op, operands));
        this.group = op.group();
        this.inTurn = inTurn;
        List<Operand> own = LayerThenGroup.ofGroup(op, operands);
        try {
            this.program = ElementwiseProgram.of(group, own).flatMap(p -> program(p, op.place(), own));
        } catch (RuntimeException | Error e) {
            inTurn.close();
            throw e;
        }
    }

    private Optional<Program> program(ElementwiseProgram p, int place, List<Operand> operands) {
        return ElementwiseVariant.loops(p)
                .flatMap(loops -> IntStream.range(0, p.inputs().size())
                        .filter(i -> p.inputs().get(i).vector().isEmpty()
                                && p.inputs().get(i).operand() == place)
                        .boxed()
                        .findFirst()
                        .map(data -> new Program(p, loops, new GroupInputs(context, p, operands), data)));
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (program.isEmpty()) {
            return inTurn.run(variables);
        }
        Program p = program.get();
        List<CpuTensor> given = p.inputs().of(variables);
        for (int i = 0; i < given.size(); i++) {
            CpuTensor x = given.get(i);
            if (i == p.data() ? !layer.mayHavePostOps(x) : !p.inputs().suits(i, x)) {
                return inTurn.run(variables);
            }
        }
        return variants.computeIfAbsent(ShapeKey.of(given, false), k -> variant(p, given))
                .map(variant -> run(variant, p, given))
                .orElseGet(() -> inTurn.run(variables));
    }

    private Optional<Variant> variant(Program program, List<CpuTensor> given) {
        ElementwiseProgram p = program.p();
        long[] data = given.get(program.data()).shape();
        List<long[]> inputs = new ArrayList<>();
        given.forEach(x -> inputs.add(x.shape()));
        inputs.set(program.data(), layer.outputShape(data));
        Optional<ElementwiseForm> found = ElementwiseForm.of(p, inputs, program.inputs()::isConstant, true)
                .filter(form -> PostOps.suit(group, p, form) && repeatsAlongChannels(program, given, form));
        Optional<PostOps.Translation> steps = found.flatMap(form -> PostOps.of(p, form))
                .filter(t -> t.source() == program.data()
                        && !t.steps().readWhole()
                        && (layer.dataType().isPresent() || isLight(t.steps())));
        if (steps.isEmpty() || shapes.getAndIncrement() >= SHAPES) {
            return Optional.empty();
        }
        ElementwiseForm form = found.get();
        PreparedLayer prepared =
                new PreparedConvolution(context, layer, Optional.of(steps.get().steps()));
        Optional<Variant> made = Optional.empty();
        try {
            if (prepared.prepare(data)) {
                made = Optional.of(new Variant(
                        ElementwiseVariant.of(p, program.loops(), form),
                        prepared,
                        new PostOpOperands(steps.get(), form.tile())));
            }
        } finally {
            if (made.isEmpty()) {
                prepared.close();
            }
        }
        return made;
    }

    /**
     * Whether all that repeats is one value, or one per channel, for all samples. Of one sample its own values look
     * like that, too: what becomes of it must not depend on the batch.
     */
    private boolean repeatsAlongChannels(Program program, List<CpuTensor> given, ElementwiseForm form) {
        int rank = form.shape().length;
        long channels = form.shape()[1];
        boolean ofSample = IntStream.range(0, given.size())
                .anyMatch(i -> form.kinds().get(i) == ElementwiseForm.Kind.REPEATED
                        && form.periods()[i] > 1
                        && !program.inputs().isConstant(i)
                        && given.get(i).rank() == rank);
        return !ofSample
                && form.tile() <= Floats.WINDOW
                && form.units() == 1
                && layer.op().channelAxis(rank) == 1
                && Arrays.stream(form.periods()).allMatch(p -> p <= 1 || p == channels);
    }

    /**
     * Whether post-ops cost a convolution of floats less than a pass over memory: oneDNN's fast ones leave floats, and
     * a second vector takes them as long.
     */
    private static boolean isLight(PostOps steps) {
        return steps.type() == ElementType.FLOAT && steps.steps().size() == 1;
    }

    private List<Tensor> run(Variant variant, Program program, List<CpuTensor> given) {
        ElementwiseForm form = variant.repeats().form();
        CpuTensor data = given.get(program.data());
        CpuTensor y =
                CpuTensor.allocate(context.memory(), program.p().outputTypes().get(0), form.layout(), form.shape());
        Resources temporary = new Resources();
        try {
            List<CpuTensor> inputs = new ArrayList<>();
            for (CpuTensor x : given) {
                CpuTensor laid = x.lies(form.layout()) ? x : context.layouts().in(form.layout(), x);
                if (laid != x) {
                    temporary.add(laid::close);
                }
                inputs.add(laid);
            }
            ElementwisePass pass = new ElementwisePass(context, variant.repeats(), inputs, List.of());
            pass.repeat(0);
            variant.layer()
                    .run(
                            data.shape(),
                            inputs.get(program.data()).address(),
                            y.address(),
                            variant.operands().afterLayer(context.scratch(), pass::values));
            return List.of(y);
        } catch (RuntimeException | Error e) {
            y.close();
            throw e;
        } finally {
            temporary.close();
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(inTurn::close);
        variants.values().forEach(v -> v.ifPresent(w -> all.add(w::close)));
        variants.clear();
        program.ifPresent(p -> all.add(p.inputs()::close));
        all.close();
    }
}
