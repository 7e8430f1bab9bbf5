package dev.rebias.sweep;

import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** One thing that a segment does for every batch. Tensors are known by number; a plan numbers them from 0. */
sealed interface Step {
    /** The tensors that it uses. */
    List<Integer> uses();

    /** What an operation is there for. */
    enum Role {
        QUANTIZED,
        FLOAT,
        ERROR,
        OTHER
    }

    /**
     * Runs an operation.
     *
     * @param name for messages: the node and the model it is from
     * @param role of a layer: what of
     * @param inputs the tensors for the variable operands, in order
     * @param outputs the tensors it makes, in order; outputs that a node leaves out are not counted
     */
    record Run(String name, Role role, Op op, List<Operand> operands, List<Integer> inputs, List<Integer> outputs)
            implements Step {
        public Run {
            operands = List.copyOf(operands);
            inputs = List.copyOf(inputs);
            outputs = List.copyOf(outputs);
        }

        /** The kind of work, for {@link Profile}. */
        String work() {
            if (role != Role.OTHER) {
                return role.name().toLowerCase(Locale.ROOT) + " " + op.type();
            }
            boolean single = op instanceof OnnxOp o && ElementwiseGroup.admits(o);
            boolean elementwise = single || op instanceof ElementwiseGroup;
            return elementwise ? "elementwise" : op.type();
        }

        /** The layer that it runs, alone or first, if its weights are constant. */
        Optional<LayerRun> layer() {
            return op instanceof LayerGroup behind
                    ? layer(
                            behind.layer(),
                            LayerThenGroup.ofLayer(behind, operands),
                            LayerThenGroup.position(behind, operands))
                    : layer(op, operands, 0);
        }

        private static Optional<LayerRun> layer(Op op, List<Operand> operands, int data) {
            Op own = op instanceof IntegerLayer integers ? integers.op() : op;
            return own instanceof LayerOp layer && operands.get(1) instanceof Operand.Constant weights
                    ? Optional.of(new LayerRun(layer, data, weights.value().shape()))
                    : Optional.empty();
        }

        @Override
        public List<Integer> uses() {
            return inputs;
        }
    }

    /**
     * A layer that a step runs.
     *
     * @param data which of the step's inputs is its data
     * @param weights their shape
     */
    record LayerRun(LayerOp op, int data, long[] weights) {}

    /**
     * Adds to a layer's error moments.
     *
     * @param layer the layer's position among the pairs
     * @param compared the error itself (reference {@code layer}), or the float network's output ({@code network})
     * @param output the quantised layer's output
     */
    record Measure(int layer, int compared, int output) implements Step {
        @Override
        public List<Integer> uses() {
            return List.of(compared, output);
        }
    }

    /**
     * Adds to what a layer's weights meet in the quantised network.
     *
     * @param layer the layer's position among the pairs
     * @param data the layer's data
     */
    record MeasureInput(int layer, int data) implements Step {
        @Override
        public List<Integer> uses() {
            return List.of(data);
        }
    }

    /**
     * Adds to what a layer's weights meet in the float network.
     *
     * @param layer the layer's position among the pairs
     * @param data the float layer's data
     */
    record MeasureReference(int layer, int data) implements Step {
        @Override
        public List<Integer> uses() {
            return List.of(data);
        }
    }

    /**
     * Adds to what a layer's weights meet in both networks at once.
     *
     * @param layer the layer's position among the pairs
     * @param reference the float layer's data
     * @param data the quantised layer's
     */
    record MeasureInputs(int layer, int reference, int data) implements Step {
        @Override
        public List<Integer> uses() {
            return List.of(reference, data);
        }
    }
}
