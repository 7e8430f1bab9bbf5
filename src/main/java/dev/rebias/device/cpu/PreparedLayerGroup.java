package dev.rebias.device.cpu;

import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import java.util.List;

/**
 * A layer and what is behind it: in the layer's own primitive where oneDNN has that, so that its output as floats never
 * is in memory.
 */
final class PreparedLayerGroup implements PreparedOp {
    private final LayerOperands layer;
    private final int place;
    private final PreparedElementwise group;
    private final LayerThenGroup inTurn;

    /**
     * Takes both over, to be closed with it.
     *
     * @param place the number of the group's operand that is the layer's output
     * @param position of the layer's data among the variables
     */
    PreparedLayerGroup(PreparedLayer layer, PreparedElementwise group, int place, int position) {
        this.layer = layer.operands();
        this.group = group;
        this.place = place;
        this.inTurn = new LayerThenGroup(layer, group, position);
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
