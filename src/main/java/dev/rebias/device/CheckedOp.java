package dev.rebias.device;

import dev.rebias.op.Op;
import dev.rebias.op.OperandSpec;
import dev.rebias.op.ShapeRules;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * An operation that sees no operands but such that {@link ShapeRules} let pass. Several threads may run it at once
 * where its own operation lets them.
 */
public final class CheckedOp implements PreparedOp {
    private final Op op;
    private final List<Operand> operands;
    private final Device device;
    private final PreparedOp prepared;
    /** What was checked last, if nothing depends on values. */
    private volatile Optional<Checked> checked = Optional.empty();

    private record Checked(ElementType[] types, long[][] shapes) {
        boolean isOf(List<Tensor> variables) {
            for (int i = 0; i < types.length; i++) {
                Tensor t = variables.get(i);
                if (t.type() != types[i] || !Arrays.equals(t.shape(), shapes[i])) {
                    return false;
                }
            }
            return true;
        }
    }

    /**
     * Wraps an operation.
     *
     * @param device that it was prepared on; it is asked for values on which a shape depends
     * @param prepared becomes this object's to close
     */
    public CheckedOp(Device device, Op op, List<Operand> operands, PreparedOp prepared) {
        this.device = device;
        this.op = op;
        this.operands = List.copyOf(operands);
        this.prepared = prepared;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        check(variables);
        return prepared.run(variables);
    }

    private void check(List<Tensor> variables) {
        if (checked.filter(c -> c.isOf(variables)).isPresent()) {
            return;
        }
        boolean[] read = new boolean[1];
        List<Optional<OperandSpec>> specs = new ArrayList<>();
        int next = 0;
        for (Operand operand : operands) {
            if (operand instanceof Operand.Constant constant) {
                specs.add(Optional.of(OperandSpec.of(constant.value())));
            } else if (operand instanceof Operand.Variable) {
                Tensor t = variables.get(next++);
                specs.add(Optional.of(new OperandSpec(t.type(), t.shape(), Optional.of(() -> {
                    read[0] = true;
                    return device.download(t);
                }))));
            } else {
                specs.add(Optional.empty());
            }
        }
        ShapeRules.check(op, specs, device.memory().mostTensorBytes());
        if (!read[0]) {
            checked = Optional.of(new Checked(
                    variables.stream().map(Tensor::type).toArray(ElementType[]::new),
                    variables.stream().map(Tensor::shape).toArray(long[][]::new)));
        }
    }

    @Override
    public void close() {
        prepared.close();
    }
}
