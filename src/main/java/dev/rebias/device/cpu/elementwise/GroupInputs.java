package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.Operand;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The inputs of an elementwise program: constants, which are tensors once and for all, and what a run is given. */
public final class GroupInputs implements AutoCloseable {
    private final ElementwiseProgram program;
    private final List<Operand> operands;
    /** For each of the program's inputs that is constant the tensor. */
    private final List<Optional<CpuTensor>> constants = new ArrayList<>();

    /**
     * The inputs of a group's program.
     *
     * @param operands the group's
     */
    public GroupInputs(CpuContext context, ElementwiseProgram program, List<Operand> operands) {
        this.program = program;
        this.operands = List.copyOf(operands);
        try {
            for (ElementwiseProgram.Input input : program.inputs()) {
                constants.add(constant(input).map(c -> CpuTensor.of(context.memory(), c)));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private Optional<HostTensor> constant(ElementwiseProgram.Input input) {
        if (input.vector().isPresent()) {
            return input.vector();
        }
        return operands.get(input.operand()) instanceof Operand.Constant c ? Optional.of(c.value()) : Optional.empty();
    }

    public boolean isConstant(int input) {
        return constants.get(input).isPresent();
    }

    /** For each of the program's inputs the tensor. */
    public List<CpuTensor> of(List<Tensor> variables) {
        CpuTensor[] byOperand = new CpuTensor[operands.size()];
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                byOperand[i] = (CpuTensor) variables.get(next++);
            }
        }
        List<CpuTensor> all = new ArrayList<>();
        for (int i = 0; i < constants.size(); i++) {
            int operand = program.inputs().get(i).operand();
            all.add(constants.get(i).orElseGet(() -> byOperand[operand]));
        }
        return all;
    }

    /** Whether a tensor has the type that an input wants: floats, or the 8-bit integers of a quantised one. */
    public boolean suits(int input, CpuTensor x) {
        return program.inputs().get(input).quantized()
                ? x.type() == ElementType.UINT8 || x.type() == ElementType.INT8
                : x.type() == ElementType.FLOAT;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        constants.forEach(c -> c.ifPresent(t -> all.add(t::close)));
        all.close();
    }
}
