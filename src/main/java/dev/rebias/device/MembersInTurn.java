package dev.rebias.device;

import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.OnnxOp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;

/** A group of elementwise operations, run one member after another. */
public final class MembersInTurn implements PreparedOp {
    private final ElementwiseGroup group;
    private final List<Operand> operands;
    private final List<PreparedOp> members = new ArrayList<>();

    /**
     * Prepares the members.
     *
     * @param prepare prepares one of them
     */
    public MembersInTurn(
            BiFunction<OnnxOp, List<Operand>, PreparedOp> prepare, ElementwiseGroup group, List<Operand> operands) {
        this.group = group;
        this.operands = List.copyOf(operands);
        try {
            for (ElementwiseGroup.Member member : group.members()) {
                List<Operand> own = member.inputs().stream().map(this::operand).toList();
                members.add(prepare.apply(member.op(), own));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private Operand operand(int value) {
        if (value == ElementwiseGroup.Member.ABSENT) {
            return new Operand.Absent();
        }
        return value < operands.size() ? operands.get(value) : new Operand.Variable();
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        Tensor[] values = new Tensor[operands.size() + members.size()];
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                values[i] = variables.get(next++);
            }
        }
        try {
            for (int i = 0; i < members.size(); i++) {
                List<Tensor> inputs = group.members().get(i).inputs().stream()
                        .filter(v -> operand(v) instanceof Operand.Variable)
                        .map(v -> values[v])
                        .toList();
                values[operands.size() + i] = members.get(i).run(inputs).get(0);
            }
        } catch (RuntimeException | Error e) {
            closeMembers(values, List.of());
            throw e;
        }
        closeMembers(values, group.outputs());
        return group.outputs().stream().map(o -> values[o]).toList();
    }

    private void closeMembers(Tensor[] values, List<Integer> kept) {
        Arrays.stream(values, operands.size(), values.length)
                .filter(v -> v != null && kept.stream().noneMatch(k -> values[k] == v))
                .forEach(Tensor::close);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        members.forEach(m -> all.add(m::close));
        all.close();
    }
}
