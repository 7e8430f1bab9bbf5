package dev.rebias.sweep;

import dev.rebias.device.Operand;
import dev.rebias.device.WeightError;
import dev.rebias.model.Layer;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import java.util.List;

/** The steps that layers and their errors are made of, on tensors that have numbers already. */
final class LayerSteps {
    private LayerSteps() {}

    /** A layer without its bias. */
    static Step.Run layer(String name, Step.Purpose purpose, LayerOp op, HostTensor weights, int data, int output) {
        List<Operand> operands = List.of(new Operand.Variable(), new Operand.Constant(weights), new Operand.Absent());
        return new Step.Run(name, purpose, op, operands, List.of(data), List.of(output));
    }

    /**
     * A layer of the quantised model on integers, without its bias.
     *
     * @param steps its weights, as integers
     * @param data the tensor of integers
     */
    static Step.Run integerLayer(
            String name, Layer q, Layer.Integers integers, HostTensor steps, int data, int output) {
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Constant(steps),
                new Operand.Constant(HostTensor.of(toFloats(integers.scale()), q.channels())));
        IntegerLayer op = new IntegerLayer(q.op(), integers.type(), integers.zero());
        return new Step.Run(name, Step.Purpose.QUANTIZED, op, operands, List.of(data), List.of(output));
    }

    /** The sums of integers of the first of a layer's two nodes. */
    static Step firstSums(String layer, Layer.First first, int data, int output) {
        Layer.Integers own = first.integers().orElseThrow();
        return new Step.Run(
                "first half of quantised layer '" + layer + "'",
                Step.Purpose.QUANTIZED,
                new IntegerLayer(first.op(), own.type(), own.zero()),
                List.of(
                        new Operand.Variable(),
                        new Operand.Constant(HostTensor.of(toFloats(own.steps()), first.weightShape())),
                        new Operand.Absent()),
                List.of(data),
                List.of(output));
    }

    /** The error that one node's weights make. */
    static Step.Run error(String name, WeightError weights, int data, int output) {
        Op op = weights.dataType()
                .<Op>map(type -> new IntegerLayer(weights.op(), type, weights.zero()))
                .orElse(weights.op());
        HostTensor difference = HostTensor.of(toFloats(weights.difference()), weights.shape());
        return new Step.Run(
                name,
                Step.Purpose.ERROR,
                op,
                List.of(new Operand.Variable(), new Operand.Constant(difference), new Operand.Absent()),
                List.of(data),
                List.of(output));
    }

    static Step.Run addBias(Layer f, int sum, int output) {
        Operand bias = new Operand.Constant(HostTensor.of(toFloats(f.bias()), f.biasShape()));
        return new Step.Run(
                "bias of float layer '" + f.name() + "'",
                Step.Purpose.OTHER,
                OnnxOp.add(),
                List.of(new Operand.Variable(), bias),
                List.of(sum),
                List.of(output));
    }

    static Step.Run addBias(String layer, int sum, int bias, int output) {
        return sum("corrected bias of layer '" + layer + "'", Step.Purpose.OTHER, sum, bias, output);
    }

    /** The sum of two tensors. */
    static Step.Run sum(String name, Step.Purpose purpose, int a, int b, int output) {
        return new Step.Run(
                name,
                purpose,
                OnnxOp.add(),
                List.of(new Operand.Variable(), new Operand.Variable()),
                List.of(a, b),
                List.of(output));
    }

    /** What the quantised layer's own step multiplies its data by: the weights, or the integers they are made of. */
    static HostTensor multiplied(Layer q) {
        double[] weights = q.integers().map(Layer.Integers::steps).orElse(q.weights());
        return HostTensor.of(toFloats(weights), q.weightShape());
    }

    /** A float layer's weights. */
    static HostTensor weights(Layer f) {
        return HostTensor.of(toFloats(f.weights()), f.weightShape());
    }

    private static float[] toFloats(double[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) values[i];
        }
        return out;
    }
}
