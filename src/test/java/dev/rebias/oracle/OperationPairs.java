package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.op.Tensors;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Small networks with a random operation in front of a layer: the mean of what it makes is added to the layer's data.
 */
public final class OperationPairs {
    private static final int CHANNELS = 3;
    private static final int LENGTH = 7;
    private static final float STEP = 0.1f;

    /**
     * A pair.
     *
     * @param samples for each input as many as the operation's first one has
     */
    public record Pair(ModelProto floating, ModelProto quantized, Map<String, HostTensor> samples) {}

    private OperationPairs() {}

    /** The pair of a seed. What the operation reads is a constant, where it has not as many samples as the rest. */
    public static Pair of(long seed) {
        RandomOperation operation = RandomOperation.of(seed);
        Random random = new Random(seed);
        long n = operation.given().values().stream()
                .filter(t -> t.rank() > 0 && t.shape()[0] > 0)
                .mapToLong(t -> t.shape()[0])
                .findFirst()
                .orElse(2);
        GraphProto.Builder graph =
                operation.model().getGraph().toBuilder().clearInput().clearOutput();
        Map<String, HostTensor> samples = new LinkedHashMap<>();
        operation.given().forEach((name, value) -> {
            if (value.rank() > 0 && value.shape()[0] == n) {
                samples.put(name, value);
                graph.addInput(info(name, value.type(), value.shape()));
            } else {
                graph.addInitializer(Tensors.of(name, value));
            }
        });
        samples.put("data", values(random, n, CHANNELS, LENGTH));
        graph.addInput(info("data", ElementType.FLOAT, n, CHANNELS, LENGTH));
        boolean perSample = random.nextBoolean();
        graph.addInitializer(Tensors.of("row", HostTensor.of(new long[] {perSample ? 0 : 1, 1, -1}, 3)));
        List.of(
                        node("Cast", "y0_f", "y0")
                                .addAttribute(GraphBuilder.integer("to", ElementType.FLOAT.onnxCode())),
                        node("Reshape", "y0_r", "y0_f", "row"),
                        node("GlobalAveragePool", "mean", "y0_r"),
                        node("Add", "sum", "data", "mean"),
                        node("Conv", "out", "sum", "weights", "bias"))
                .forEach(graph::addNode);
        graph.addInitializer(Tensors.of("bias", HostTensor.of(new float[] {0.3f, -0.2f}, 2)));
        graph.addOutput(info("out", ElementType.FLOAT, n, 2, LENGTH - 2));
        HostTensor weights = values(random, 2, CHANNELS, 3);
        HostTensor rounded = HostTensor.zeros(ElementType.FLOAT, weights.shape());
        for (int i = 0; i < weights.elements(); i++) {
            rounded.floats().put(i, Math.round(weights.floats().get(i) / STEP) * STEP);
        }
        return new Pair(
                model(operation.model(), graph, weights),
                model(operation.model(), graph, rounded),
                Map.copyOf(samples));
    }

    private static ModelProto model(ModelProto of, GraphProto.Builder graph, HostTensor weights) {
        return of.toBuilder()
                .setGraph(graph.clone().addInitializer(Tensors.of("weights", weights)))
                .build();
    }

    private static NodeProto.Builder node(String type, String output, String... inputs) {
        return NodeProto.newBuilder()
                .setName(output)
                .setOpType(type)
                .addAllInput(List.of(inputs))
                .addOutput(output);
    }

    private static HostTensor values(Random random, long... shape) {
        HostTensor out = HostTensor.zeros(ElementType.FLOAT, shape);
        for (int i = 0; i < out.elements(); i++) {
            out.floats().put(i, (float) random.nextGaussian());
        }
        return out;
    }

    /** With the first dimension open. */
    private static ValueInfoProto info(String name, ElementType type, long... shape) {
        ValueInfoProto.Builder info = ValueInfoProto.newBuilder().setName(name);
        var tensor = info.getTypeBuilder().getTensorTypeBuilder().setElemType(type.onnxCode());
        tensor.getShapeBuilder().addDimBuilder().setDimParam("n");
        for (int i = 1; i < shape.length; i++) {
            tensor.getShapeBuilder().addDimBuilder().setDimValue(shape[i]);
        }
        return info.build();
    }
}
