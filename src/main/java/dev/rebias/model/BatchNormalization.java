package dev.rebias.model;

import dev.rebias.op.Attributes;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Folds a BatchNormalization into the layer before it. With g = scale / sqrt(var + epsilon) per channel, BN(W x + b) =
 * (g W) x + g (b - mean) + B (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
 * CVPR 2018, section 3.2).
 */
final class BatchNormalization {
    private BatchNormalization() {}

    /** Whether all four parameters are constant and it works as in inference. */
    static boolean isFoldable(Node node, Graph graph, int channels) {
        OnnxOp op = (OnnxOp) node.op();
        return node.inputs().size() == 5
                && Attributes.integer(op.node(), "training_mode", 0) == 0
                && node.inputs().subList(1, 5).stream()
                        .map(graph.constants()::get)
                        .allMatch(c -> c != null && c.type() == ElementType.FLOAT && c.elements() == channels);
    }

    static Layer fold(Layer layer, Node node, Graph graph) {
        float epsilon = Attributes.real(((OnnxOp) node.op()).node(), "epsilon", 1e-5f);
        float[] scale = parameter(node, 1, graph);
        float[] shift = parameter(node, 2, graph);
        float[] mean = parameter(node, 3, graph);
        float[] variance = parameter(node, 4, graph);
        double[] gain = new double[layer.channels()];
        double[] bias = new double[layer.channels()];
        for (int c = 0; c < gain.length; c++) {
            gain[c] = scale[c] / Math.sqrt((double) variance[c] + epsilon);
            bias[c] = gain[c] * (layer.bias()[c] - mean[c]) + shift[c];
        }
        List<Node> nodes = new ArrayList<>(layer.nodes());
        nodes.add(node);
        return new Layer(
                layer.name(),
                layer.op(),
                layer.data(),
                layer.weightShape(),
                scaled(layer, gain),
                Optional.empty(),
                bias,
                layer.first(),
                node.outputs().get(0),
                layer.fileOutput(),
                nodes);
    }

    private static float[] parameter(Node node, int input, Graph graph) {
        return graph.constants().get(node.inputs().get(input)).toFloats();
    }

    private static double[] scaled(Layer layer, double[] gain) {
        LayerOp op = layer.op();
        long[] shape = layer.weightShape();
        int axis = op.weightChannelAxis(shape.length);
        int along = Math.toIntExact(shape[axis]);
        int inner = Math.toIntExact(Shape.elements(shape, axis + 1, shape.length));
        double[] values = layer.weights().clone();
        // A transposed convolution's group g holds channels g * along .. g * along + along - 1; its axis 0 runs over
        // the groups' inputs.
        int groupRows =
                op instanceof TransposedConvolution t ? Math.toIntExact(shape[0] / t.group()) : Integer.MAX_VALUE;
        for (int i = 0; i < values.length; i++) {
            int group = i / inner / along / groupRows;
            values[i] *= gain[group * along + i / inner % along];
        }
        return values;
    }
}
