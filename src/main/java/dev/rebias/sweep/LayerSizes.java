package dev.rebias.sweep;

import dev.rebias.device.Operand;
import dev.rebias.device.Upcoming;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Pooling;
import dev.rebias.op.Reduction;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * How large layers' outputs are, as far as that follows from the shapes of a plan's inputs: behind layers, elementwise
 * operations and pooling.
 */
final class LayerSizes {
    private static final Set<String> POOLING = Set.of("MaxPool", "AveragePool");

    /** The shapes that are known, by the number of the tensor. */
    private final Map<Integer, long[]> shapes = new HashMap<>();

    private long elements;
    private long layers;

    private final boolean reductions;

    /**
     * Knows nothing yet.
     *
     * @param reductions whether to go on behind reductions too: the layers there are tiny, and no part of the mean
     */
    private LayerSizes(boolean reductions) {
        this.reductions = reductions;
    }

    /**
     * The mean size of a layer's output.
     *
     * @param inputs the shapes of the plan's inputs
     * @return bytes, as floats; of the inputs where no layer's output is known
     */
    static long meanBytes(Plan plan, Iterable<long[]> inputs) {
        LayerSizes sizes = new LayerSizes(false);
        long given = 0;
        for (long[] shape : inputs) {
            given += Shape.elements(shape);
        }
        sizes.operations(plan, inputs);
        return Float.BYTES * (sizes.layers == 0 ? given : sizes.elements / sizes.layers);
    }

    /** A plan's operations, in order, with the shapes of what varies, as far as they are known. */
    static List<Upcoming> upcoming(Plan plan, Iterable<long[]> inputs) {
        return new LayerSizes(true).operations(plan, inputs);
    }

    private List<Upcoming> operations(Plan plan, Iterable<long[]> inputs) {
        int input = 0;
        for (long[] shape : inputs) {
            shapes.put(plan.inputs().get(input++), shape);
        }
        List<Upcoming> all = new ArrayList<>();
        for (Plan.Segment segment : plan.segments()) {
            for (Step step : segment.steps()) {
                if (step instanceof Step.Run run) {
                    all.add(new Upcoming(
                            run.op(),
                            run.operands(),
                            run.inputs().stream()
                                    .map(i -> Optional.ofNullable(shapes.get(i)))
                                    .toList()));
                    add(run);
                }
            }
            for (Plan.Solved solved : segment.solved()) {
                if (solved.bias() >= 0) {
                    shapes.put(
                            solved.bias(),
                            plan.layers().get(solved.layer()).quantized().biasShape());
                }
            }
        }
        return all;
    }

    private void record(Step.Run step, long[] shape) {
        step.outputs().forEach(o -> shapes.put(o, shape));
    }

    /**
     * The shape of what follows a layer in the same step: the layer's output's, or that of something larger that it is
     * combined with.
     */
    private long[] largest(Step.Run step, int data, long[] output) {
        long[] largest = output;
        for (int i = 0; i < step.inputs().size(); i++) {
            long[] other = i == data ? null : shapes.get(step.inputs().get(i));
            if (other != null && Shape.elements(other) > Shape.elements(largest)) {
                largest = other;
            }
        }
        return largest;
    }

    /** A reduction's axes, where they are an operand. */
    private static Optional<long[]> axes(List<Operand> operands) {
        if (operands.size() > 1
                && operands.get(1) instanceof Operand.Constant c
                && c.value().type() == ElementType.INT64) {
            long[] axes = new long[Math.toIntExact(c.value().elements())];
            c.value().longs().get(axes);
            return Optional.of(axes);
        }
        return Optional.empty();
    }

    private void add(Step.Run step) {
        long[] data = step.inputs().stream()
                .map(shapes::get)
                .filter(s -> s != null)
                .reduce((a, b) -> Shape.elements(a) >= Shape.elements(b) ? a : b)
                .orElse(null);
        if (data == null) {
            return;
        }
        try {
            if (step.layer().isPresent()) {
                Step.LayerRun layer = step.layer().get();
                long[] of = shapes.get(step.inputs().get(layer.data()));
                if (of != null) {
                    long[] output = layer.op().outputShape(of, layer.weights());
                    elements += Shape.elements(output);
                    layers++;
                    record(step, largest(step, layer.data(), output));
                } else if (step.op() instanceof LayerGroup) {
                    record(step, data);
                }
            } else if (step.op() instanceof ElementwiseGroup
                    || (step.op() instanceof OnnxOp op && ElementwiseGroup.admits(op))) {
                record(step, data);
            } else if (step.op() instanceof OnnxOp op && op.standard() && POOLING.contains(op.type())) {
                record(step, Pooling.of(op).outputShape(data));
            } else if (reductions
                    && step.op() instanceof OnnxOp op
                    && op.standard()
                    && Reduction.types().contains(op.type())) {
                Reduction.of(op, data, axes(step.operands())).ifPresent(r -> record(step, r.output()));
            }
        } catch (UnsupportedException | ArithmeticException e) {
            // What does not fit is not known here; running it will say why.
            step.outputs().forEach(shapes::remove);
        }
    }
}
