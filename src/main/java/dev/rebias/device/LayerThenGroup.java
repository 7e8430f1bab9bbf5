package dev.rebias.device;

import dev.rebias.op.LayerGroup;
import java.util.ArrayList;
import java.util.List;

/** A layer and the group behind it, one after the other. */
public final class LayerThenGroup implements PreparedOp {
    private final PreparedOp layer;
    private final PreparedOp group;
    private final int position;

    /**
     * Takes both over, to be closed with it.
     *
     * @param position of the layer's data among the variables
     */
    public LayerThenGroup(PreparedOp layer, PreparedOp group, int position) {
        this.layer = layer;
        this.group = group;
        this.position = position;
    }

    /** Prepares both. */
    public static LayerThenGroup of(Device device, LayerGroup op, List<Operand> operands) {
        PreparedOp layer = device.prepare(op.layer(), ofLayer(op, operands));
        try {
            return new LayerThenGroup(layer, device.prepare(op.group(), ofGroup(op, operands)), position(op, operands));
        } catch (RuntimeException | Error e) {
            layer.close();
            throw e;
        }
    }

    /** The layer's own operands. */
    public static List<Operand> ofLayer(LayerGroup op, List<Operand> operands) {
        List<Operand> own = new ArrayList<>(List.of(new Operand.Variable()));
        own.addAll(operands.subList(op.group().operands(), operands.size()));
        return own;
    }

    /** The group's own operands. */
    public static List<Operand> ofGroup(LayerGroup op, List<Operand> operands) {
        return operands.subList(0, op.group().operands());
    }

    /** Which of the variables is the layer's data. */
    public static int position(LayerGroup op, List<Operand> operands) {
        return (int) operands.subList(0, op.place()).stream()
                .filter(o -> o instanceof Operand.Variable)
                .count();
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        try (Tensor output = layer.run(List.of(variables.get(position))).get(0)) {
            List<Tensor> inputs = new ArrayList<>(variables);
            inputs.set(position, output);
            return group.run(inputs);
        }
    }

    @Override
    public void close() {
        Resources both = new Resources();
        both.add(layer::close);
        both.add(group::close);
        both.close();
    }
}
