package dev.rebias.device.cpu.nodes;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Views;
import dev.rebias.tensor.ElementType;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * An operation that only gives the same elements another shape: no copy, unless they must be brought into row-major
 * order first.
 */
public final class PreparedView implements PreparedOp {
    private final CpuContext context;
    private final OnnxOp op;
    private final Optional<long[]> constant;
    private final boolean variable;

    private PreparedView(CpuContext context, OnnxOp op, Optional<long[]> constant, boolean variable) {
        this.context = context;
        this.op = op;
        this.constant = constant;
        this.variable = variable;
    }

    /** The view, if the operation is one with a single output. */
    public static Optional<PreparedOp> of(CpuContext context, OnnxOp op, List<Operand> operands) {
        long outputs =
                op.node().getOutputList().stream().filter(o -> !o.isEmpty()).count();
        if (!op.standard()
                || !Views.TYPES.contains(op.type())
                || outputs != 1
                || !isInference(operands)
                || !(operands.get(0) instanceof Operand.Variable)) {
            return Optional.empty();
        }
        boolean second = operands.size() > 1 && !op.type().equals("Dropout");
        Optional<long[]> constant = second
                        && operands.get(1) instanceof Operand.Constant c
                        && c.value().type() == ElementType.INT64
                ? Optional.of(values(c.value().longs()))
                : Optional.empty();
        return Optional.of(
                new PreparedView(context, op, constant, second && operands.get(1) instanceof Operand.Variable));
    }

    /** Whether it has no third input, as only Dropout has, that could say otherwise. */
    private static boolean isInference(List<Operand> operands) {
        return operands.size() < 3
                || operands.get(2) instanceof Operand.Absent
                || (operands.get(2) instanceof Operand.Constant c && Views.isFalse(c.value()));
    }

    private static long[] values(LongBuffer from) {
        long[] values = new long[from.remaining()];
        from.get(values);
        return values;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        Optional<long[]> second = variable
                ? Optional.of(values(((CpuTensor) variables.get(1))
                        .elements()
                        .duplicate()
                        .order(ByteOrder.nativeOrder())
                        .asLongBuffer()))
                : constant;
        CpuTensor x = (CpuTensor) variables.get(0);
        long[] shape = Views.shape(op, x.shape(), second);
        if (Arrays.equals(shape, x.shape())) {
            return List.of(x.reshape(x.layout(), shape));
        }
        try (CpuTensor plain = context.layouts().in(Layout.PLAIN, x)) {
            return List.of(plain.reshape(Layout.PLAIN, shape));
        }
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
