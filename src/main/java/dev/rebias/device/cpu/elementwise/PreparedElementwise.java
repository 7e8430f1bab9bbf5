package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.ElementwiseGroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A group of elementwise operations in one pass over memory: by oneDNN where they are a {@link Chain}; else tile by
 * tile, each small enough for the first-level cache, one {@linkplain ElementLoops loop} per member. What follows from
 * values that repeat is worked out once, or once per sample. Where one pass is not possible (other types, outputs of
 * different shapes, broadcasting that does not line up with memory, functions without a loop) its members run one by
 * one, and a single member in ONNX Runtime.
 */
public final class PreparedElementwise implements PreparedOp {
    private final CpuContext context;
    private final ElementwiseGroup group;
    private final PreparedOp otherwise;
    private final Optional<Program> program;
    private final Map<ShapeKey, Optional<Variant>> variants = new ConcurrentHashMap<>();

    private record Program(ElementwiseProgram p, ElementLoops.Loop[] loops, GroupInputs inputs) {}

    /**
     * What runs the group on inputs of one form.
     *
     * @param chain how oneDNN runs it, where that can
     */
    private record Variant(ElementwiseVariant loops, Optional<Chain> chain) {}

    /**
     * Prepares a group.
     *
     * @param otherwise what runs it where one pass cannot; becomes this object's to close
     */
    public PreparedElementwise(
            CpuContext context, ElementwiseGroup group, List<Operand> operands, PreparedOp otherwise) {
        this.context = context;
        this.group = group;
        this.otherwise = otherwise;
        try {
            this.program = ElementwiseProgram.of(group, operands).flatMap(p -> ElementwiseVariant.loops(p)
                    .map(loops -> new Program(p, loops, new GroupInputs(context, p, operands))));
        } catch (RuntimeException | Error e) {
            otherwise.close();
            throw e;
        }
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        return onePass(variables).orElseGet(() -> otherwise.run(variables));
    }

    /** Runs the group in one pass, if there is one. */
    private Optional<List<Tensor>> onePass(List<Tensor> variables) {
        if (program.isEmpty()) {
            return Optional.empty();
        }
        Program p = program.get();
        List<CpuTensor> given = p.inputs().of(variables);
        for (int i = 0; i < given.size(); i++) {
            if (!p.inputs().suits(i, given.get(i))) {
                return Optional.empty();
            }
        }
        return variants.computeIfAbsent(ShapeKey.of(given, true), k -> variant(p, given))
                .map(variant -> run(variant, given));
    }

    private Optional<Variant> variant(Program program, List<CpuTensor> given) {
        boolean last = given.stream().anyMatch(t -> !t.lies(Layout.PLAIN));
        return ElementwiseForm.of(
                        program.p(), given.stream().map(CpuTensor::shape).toList(), program.inputs()::isConstant, last)
                .map(form -> new Variant(
                        ElementwiseVariant.of(program.p(), program.loops(), form),
                        PostOps.suit(group, program.p(), form)
                                ? Chain.of(context, program.p(), form)
                                : Optional.empty()));
    }

    private List<Tensor> run(Variant variant, List<CpuTensor> given) {
        ElementwiseForm form = variant.loops().form();
        ElementwiseProgram p = variant.loops().program();
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
            for (int output : p.outputs()) {
                Instruction made = p.instructions().get(output);
                outputs.add(CpuTensor.allocate(context.memory(), made.type(), form.layout(), form.shape()));
            }
            compute(variant, inputs, outputs);
            return List.copyOf(outputs);
        } catch (RuntimeException | Error e) {
            outputs.forEach(CpuTensor::close);
            throw e;
        } finally {
            temporary.close();
        }
    }

    private void compute(Variant variant, List<CpuTensor> inputs, List<CpuTensor> outputs) {
        ElementwiseForm form = variant.loops().form();
        ElementwisePass pass = new ElementwisePass(context, variant.loops(), inputs, outputs);
        int unit = Math.toIntExact(form.unit());
        for (int n = 0; n < form.units(); n++) {
            pass.repeat(n);
            if (variant.chain().isPresent()) {
                variant.chain()
                        .get()
                        .run(
                                input -> inputs.get(input).address(),
                                pass::values,
                                (long) n * unit,
                                unit,
                                outputs.get(0).address());
            } else {
                pass.compute(n * unit, unit);
            }
        }
        pass.flush();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        variants.values().forEach(v -> v.flatMap(Variant::chain).ifPresent(c -> all.add(c::close)));
        variants.clear();
        program.ifPresent(p -> all.add(p.inputs()::close));
        all.close();
    }
}
