package dev.rebias.sweep;

import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.measure.Role;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.InTf32;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** One thing that a segment does for every batch. Tensors are known by number; a plan numbers them from 0. */
sealed interface Step {
    /** The tensors that it uses. */
    List<Integer> uses();

    /** The same; a layer of the float network may be computed in TF32. */
    default Step inTf32() {
        return this;
    }

    /** What an operation is there for. */
    enum Purpose {
        QUANTIZED,
        FLOAT,
        ERROR,
        OTHER
    }

    /**
     * Runs an operation.
     *
     * @param name for messages: the node and the model it is from
     * @param purpose of a layer: what of
     * @param inputs the tensors for the variable operands, in order
     * @param outputs the tensors it makes, in order; outputs that a node leaves out are not counted
     */
    record Run(String name, Purpose purpose, Op op, List<Operand> operands, List<Integer> inputs, List<Integer> outputs)
            implements Step {
        public Run {
            operands = List.copyOf(operands);
            inputs = List.copyOf(inputs);
            outputs = List.copyOf(outputs);
        }

        /** The same with other constants in the places of some. */
        Run with(IdentityHashMap<HostTensor, HostTensor> others) {
            List<Operand> replaced = operands.stream()
                    .map(o -> o instanceof Operand.Constant c && others.containsKey(c.value())
                            ? new Operand.Constant(others.get(c.value()))
                            : o)
                    .toList();
            return new Run(name, purpose, op, replaced, inputs, outputs);
        }

        @Override
        public Step inTf32() {
            return purpose == Purpose.FLOAT ? new Run(name, purpose, InTf32.of(op), operands, inputs, outputs) : this;
        }

        /** The kind of work, for {@link Profile}. */
        String work() {
            if (purpose != Purpose.OTHER) {
                return purpose.name().toLowerCase(Locale.ROOT) + " " + op.type();
            }
            boolean single = op instanceof OnnxOp o && ElementwiseGroup.admits(o);
            boolean elementwise = single || op instanceof ElementwiseGroup;
            return elementwise ? "elementwise" : op.type();
        }

        /** The layer that it runs, alone or first, if its weights are constant. */
        Optional<LayerRun> layer() {
            return InTf32.without(op) instanceof LayerGroup behind
                    ? layer(
                            behind.layer(),
                            LayerThenGroup.ofLayer(behind, operands),
                            LayerThenGroup.position(behind, operands))
                    : layer(InTf32.without(op), operands, 0);
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
     * Adds to what is measured of a layer.
     *
     * @param layer the layer's position among the pairs
     * @param role which of the layer's tensors they are
     * @param tensors as the role says
     */
    record Measure(int layer, Role role, List<Integer> tensors) implements Step {
        public Measure {
            tensors = List.copyOf(tensors);
        }

        @Override
        public List<Integer> uses() {
            return tensors;
        }
    }
}
