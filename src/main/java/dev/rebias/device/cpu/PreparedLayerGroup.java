package dev.rebias.device.cpu;

import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.op.LayerGroup;
import java.util.List;

/** A layer on bytes and what is behind it: in the layer's own primitive where oneDNN has that, so that its output as floats never is in memory. */
final class PreparedLayerGroup implements PreparedOp {
    private final LayerOperands layer;
    private final int place;
    private final PreparedElementwise group;
    private final LayerThenGroup inTurn;

    /** Prepares both; the group becomes this object's to close. */
    PreparedLayerGroup(CpuContext context, LayerGroup op, List<Operand> operands, PreparedElementwise group) {
        this.layer = LayerOperands.of(op.layer(), LayerThenGroup.ofLayer(op, operands));
        this.place = op.place();
        this.group = group;
        this.inTurn =
                new LayerThenGroup(PreparedLayer.of(context, layer), group, LayerThenGroup.position(op, operands));
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        return group.runBehind(layer, place, variables).orElseGet(() -> inTurn.run(variables));
    }

    @Override
    public void close() {
        inTurn.close();
    }
}
