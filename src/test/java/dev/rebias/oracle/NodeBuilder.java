package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.op.Tensors;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * A model of one node, whose inputs hold random values; whatever need not be given at run time is a constant or an
 * input as the dice fall.
 */
final class NodeBuilder {
    private static final int IR_VERSION = 8;

    private final Random random;
    private final int opset;
    private final NodeProto.Builder node = NodeProto.newBuilder().setName("node");
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("random");
    private final Map<String, HostTensor> given = new LinkedHashMap<>();
    private int inputs;

    NodeBuilder(Random random, String type, int opset) {
        this.random = random;
        this.opset = opset;
        node.setOpType(type);
    }

    Random random() {
        return random;
    }

    String type() {
        return node.getOpType();
    }

    int opset() {
        return opset;
    }

    /** From low to high, both included. */
    int between(int low, int high) {
        return low + random.nextInt(high - low + 1);
    }

    boolean chance(double probability) {
        return random.nextDouble() < probability;
    }

    @SafeVarargs
    final <T> T one(T... of) {
        return of[random.nextInt(of.length)];
    }

    /**
     * Sizes that are seldom round: mostly small, now and then 1, rarely 0; a few times one that is more than a block of
     * threads.
     */
    long[] shape(int rank) {
        long[] shape = new long[rank];
        if (rank > 0 && rank <= 3 && chance(0.04)) {
            Arrays.setAll(shape, i -> between(1, 6));
            shape[random.nextInt(rank)] = between(200, 1500);
            return shape;
        }
        Arrays.setAll(shape, i -> chance(0.02) ? 0 : chance(0.2) ? 1 : between(2, rank > 4 ? 4 : 9));
        return shape;
    }

    /** An axis, counted from the front or the back. */
    int axis(int rank) {
        return between(-rank, rank - 1);
    }

    /** An input of the node with random values that the graph is given. */
    NodeBuilder variable(HostTensor value) {
        String name = "x" + inputs++;
        graph.addInput(info(name, value.type()));
        given.put(name, value);
        node.addInput(name);
        return this;
    }

    /** An input that is an initializer. */
    NodeBuilder constant(HostTensor value) {
        String name = "x" + inputs++;
        graph.addInitializer(Tensors.of(name, value));
        node.addInput(name);
        return this;
    }

    /** An input of which the dice say what it is. */
    NodeBuilder input(HostTensor value) {
        return chance(0.5) ? variable(value) : constant(value);
    }

    NodeBuilder absent() {
        inputs++;
        node.addInput("");
        return this;
    }

    NodeBuilder attribute(AttributeProto attribute) {
        node.addAttribute(attribute);
        return this;
    }

    NodeBuilder integers(long... values) {
        return input(HostTensor.of(values, values.length));
    }

    /** Integers that are an attribute before an operator set, an input since. */
    NodeBuilder integers(String name, int inputSince, long... values) {
        return opset < inputSince ? attribute(GraphBuilder.list(name, values)) : integers(values);
    }

    /** Floats around 0. */
    HostTensor floats(long... shape) {
        return numbers(ElementType.FLOAT, -3, 3, shape);
    }

    /** Random numbers of any type within bounds. */
    HostTensor numbers(ElementType type, double low, double high, long... shape) {
        HostTensor out = HostTensor.zeros(type, shape);
        for (int i = 0; i < out.elements(); i++) {
            double v = low + (high - low) * random.nextDouble();
            switch (type) {
                case FLOAT -> out.floats().put(i, (float) v);
                case DOUBLE -> out.bytes().putDouble(8 * i, v);
                case INT64, UINT64 -> out.longs().put(i, Math.round(v));
                case BOOL -> out.bytes().put(i, (byte) (random.nextBoolean() ? 1 : 0));
                default -> TestTensors.putInteger(out, i, (int) Math.round(v));
            }
        }
        return out;
    }

    RandomOperation build(int outputs) {
        for (int i = 0; i < outputs; i++) {
            node.addOutput("y" + i);
            graph.addOutput(ValueInfoProto.newBuilder().setName("y" + i));
        }
        ModelProto model = ModelProto.newBuilder()
                .setIrVersion(IR_VERSION)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(opset))
                .setGraph(graph.addNode(node))
                .build();
        return new RandomOperation(model, given);
    }

    private static ValueInfoProto info(String name, ElementType type) {
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder().setElemType(type.onnxCode())))
                .build();
    }

    /** A shape that broadcasts with another. */
    long[] broadcastable(long[] shape) {
        int rank = between(0, shape.length);
        long[] out = Arrays.copyOfRange(shape, shape.length - rank, shape.length);
        for (int i = 0; i < rank; i++) {
            out[i] = chance(0.3) ? 1 : out[i];
        }
        return out;
    }

    static long[] list(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).toArray();
    }

    /** A random order of 0 .. n - 1. */
    long[] order(int n) {
        List<Long> all = new ArrayList<>();
        for (long i = 0; i < n; i++) {
            all.add(random.nextInt(all.size() + 1), i);
        }
        return list(all);
    }
}
