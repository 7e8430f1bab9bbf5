package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.device.Device;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.Node;
import dev.rebias.model.OnnxModel;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Runs a model node by node on a device. */
public final class DeviceNetwork {
    private DeviceNetwork() {}

    /** All tensors that the nodes make, by name. */
    static Map<String, NaiveTensor> run(Device device, ModelProto model, Map<String, NaiveTensor> inputs) {
        OnnxModel whole = OnnxModel.of("test", model);
        Map<String, HostTensor> given = new HashMap<>();
        GraphReader.read(whole).inputs().forEach(i -> given.put(i.name(), host(inputs.get(i.name()), i.type())));
        Map<String, NaiveTensor> values = new HashMap<>();
        run(device, whole, given).forEach((name, t) -> values.put(name, naive(t)));
        return values;
    }

    /** The same of tensors on the host. */
    public static Map<String, HostTensor> run(Device device, OnnxModel model, Map<String, HostTensor> inputs) {
        Graph graph = GraphReader.read(model);
        Map<String, Tensor> tensors = new HashMap<>();
        List<PreparedOp> prepared = new ArrayList<>();
        try {
            graph.inputs().forEach(i -> tensors.put(i.name(), device.upload(inputs.get(i.name()))));
            for (Node node : graph.nodes()) {
                List<Operand> operands = new ArrayList<>();
                List<Tensor> variables = new ArrayList<>();
                for (String input : node.inputs()) {
                    if (input.isEmpty()) {
                        operands.add(new Operand.Absent());
                    } else if (graph.constants().containsKey(input)) {
                        operands.add(new Operand.Constant(graph.constants().get(input)));
                    } else {
                        operands.add(new Operand.Variable());
                        variables.add(tensors.get(input));
                    }
                }
                PreparedOp op = device.prepare(node.op(), operands);
                prepared.add(op);
                List<String> outputs =
                        node.outputs().stream().filter(o -> !o.isEmpty()).toList();
                List<Tensor> results = op.run(variables);
                for (int i = 0; i < results.size(); i++) {
                    tensors.put(outputs.get(i), results.get(i));
                }
            }
            Map<String, HostTensor> values = new HashMap<>();
            tensors.forEach((name, t) -> values.put(name, device.download(t)));
            return values;
        } finally {
            prepared.forEach(PreparedOp::close);
            tensors.values().forEach(Tensor::close);
        }
    }

    static HostTensor host(NaiveTensor t, ElementType type) {
        long[] shape = Arrays.stream(t.shape()).asLongStream().toArray();
        HostTensor out = HostTensor.zeros(type, shape);
        for (int i = 0; i < t.values().length; i++) {
            switch (type) {
                case FLOAT -> out.floats().put(i, (float) t.values()[i]);
                case INT64 -> out.longs().put(i, (long) t.values()[i]);
                default -> out.bytes().put(i, (byte) (long) t.values()[i]);
            }
        }
        return out;
    }

    static NaiveTensor naive(HostTensor t) {
        int[] shape = Arrays.stream(t.shape()).mapToInt(Math::toIntExact).toArray();
        double[] values = new double[Math.toIntExact(t.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (t.type()) {
                case FLOAT -> t.floats().get(i);
                case INT64 -> t.longs().get(i);
                case INT32 -> t.ints().get(i);
                case UINT8 -> Byte.toUnsignedInt(t.bytes().get(i));
                case INT8, BOOL -> t.bytes().get(i);
                default -> Double.NaN;
            };
        }
        return new NaiveTensor(values, shape);
    }
}
