package dev.rebias.sweep;

import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Pooling;
import dev.rebias.tensor.Shape;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** How large layers' outputs are, as far as that follows from the shapes of a plan's inputs: behind layers, elementwise operations and pooling. */
final class LayerSizes {
    private static final Set<String> POOLING = Set.of("MaxPool", "AveragePool");

    /** The shapes that are known, by the number of the tensor. */
    private final Map<Integer, long[]> shapes = new HashMap<>();

    private long elements;
    private long layers;

    private LayerSizes() {}

    /**
     * The mean size of a layer's output.
     *
     * @param inputs the shapes of the plan's inputs
     * @return bytes, as floats; of the inputs where no layer's output is known
     */
    static long meanBytes(Plan plan, Iterable<long[]> inputs) {
        LayerSizes sizes = new LayerSizes();
        long given = 0;
        int input = 0;
        for (long[] shape : inputs) {
            sizes.shapes.put(plan.inputs().get(input++), shape);
            given += Shape.elements(shape);
        }
        for (Plan.Segment segment : plan.segments()) {
            for (Step step : segment.steps()) {
                if (step instanceof Step.Run run) {
                    sizes.add(run);
                }
            }
        }
        return Float.BYTES * (sizes.layers == 0 ? given : sizes.elements / sizes.layers);
    }

    private void record(Step.Run step, long[] shape) {
        step.outputs().forEach(o -> shapes.put(o, shape));
    }

    /** The shape of what follows a layer in the same step: the layer's output's, or that of something larger that it is combined with. */
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
            }
        } catch (UnsupportedException | ArithmeticException e) {
            // What does not fit is not known here; running it will say why.
            step.outputs().forEach(shapes::remove);
        }
    }
}
