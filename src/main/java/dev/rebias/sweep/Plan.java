package dev.rebias.sweep;

import dev.rebias.device.Method;
import dev.rebias.device.Upcoming;
import dev.rebias.device.WeightError;
import dev.rebias.model.LayerPair;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Optional;

/**
 * What a sweep does.
 *
 * @param reference where y_f comes from
 * @param errors whether the errors themselves are wanted, or only their means
 * @param measured for each layer, how its errors are found
 * @param layers the layers to be corrected
 * @param inputs the tensors that samples fill, in the order of the quantised model's inputs
 * @param segments the work between barriers
 * @param tensors how many tensors there are
 */
public record Plan(
        Reference reference,
        boolean errors,
        List<Measured> measured,
        List<LayerPair> layers,
        List<Integer> inputs,
        List<Segment> segments,
        int tensors) {
    public Plan {
        measured = List.copyOf(measured);
        layers = List.copyOf(layers);
        inputs = List.copyOf(inputs);
        segments = List.copyOf(segments);
    }

    /** The same plan, where the float network's layers may be computed in TF32. */
    public Plan inTf32() {
        List<Segment> rounded = segments.stream()
                .map(s -> new Segment(s.steps().stream().map(Step::inTf32).toList(), s.releases(), s.solved()))
                .toList();
        return new Plan(reference, errors, measured, layers, inputs, rounded, tensors);
    }

    /**
     * The mean size of a layer's output, as far as it follows from the inputs' shapes.
     *
     * @param inputShapes in the order of the inputs
     * @return bytes, as floats; of the inputs where no layer's output is known
     */
    public long meanOutputBytes(List<long[]> inputShapes) {
        return LayerSizes.meanBytes(this, inputShapes);
    }

    /**
     * The operations that it runs, in order, with the shapes of what varies, as far as they are known.
     *
     * @param inputShapes in the order of the inputs
     */
    public List<Upcoming> upcoming(List<long[]> inputShapes) {
        return LayerSizes.upcoming(this, inputShapes);
    }

    /**
     * How a layer is measured, and by how much its weights are off.
     *
     * @param methods the first tells its mean errors, the last how large they are, where that is wanted
     * @param weights of a run of two nodes, those of the one convolution that does the same as both
     * @param adjusted where the layer's weights are chosen anew, the operand that stands for them in its steps
     */
    public record Measured(List<Method> methods, WeightError weights, Optional<HostTensor> adjusted) {
        public Measured {
            methods = List.copyOf(methods);
        }

        Measured(List<Method> methods, WeightError weights) {
            this(methods, weights, Optional.empty());
        }

        /** Whether every one of its errors is computed. */
        public boolean computesErrors() {
            return methods.contains(Method.ERRORS);
        }
    }

    /**
     * The steps between two barriers.
     *
     * @param steps in order
     * @param releases for each step, the tensors of the batch that nothing uses after it
     * @param solved the layers whose corrections are known at the barrier that ends this segment
     */
    public record Segment(List<Step> steps, List<List<Integer>> releases, List<Solved> solved) {
        public Segment {
            steps = List.copyOf(steps);
            releases = List.copyOf(releases);
            solved = List.copyOf(solved);
        }
    }

    /**
     * A layer whose correction is known at a barrier.
     *
     * @param layer its position among the pairs
     * @param bias the number of the tensor that is its corrected bias from there on, the same for all batches; -1 if
     *     nothing needs it
     */
    public record Solved(int layer, int bias) {}
}
