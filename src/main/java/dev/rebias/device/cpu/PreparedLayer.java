package dev.rebias.device.cpu;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A layer's operation as an ONNX Runtime session: op(x, W) + b, or its integer form. Its output goes to memory of ours, so that corrections are
 * added in place.
 */
final class PreparedLayer implements PreparedOp {
    /** The operator set that {@link LayerOp#toNode} writes for. */
    private static final int OPSET = 13;

    private final MemoryUse memory;
    private final LayerOp op;
    private final long[] weightShape;
    private final OrtSession session;
    private boolean closed;

    private PreparedLayer(MemoryUse memory, LayerOp op, long[] weightShape, OneNodeModel model) {
        this.memory = memory;
        this.op = op;
        this.weightShape = weightShape;
        try {
            session = OnnxRuntime.session(model.output("y").serialise(), OrtSession.SessionOptions.OptLevel.NO_OPT);
        } catch (OrtException e) {
            throw new UnsupportedException(
                    op.type() + " with weights " + Shape.text(weightShape) + " cannot be run: " + OnnxRuntime.reason(e),
                    e);
        }
    }

    static PreparedLayer of(MemoryUse memory, LayerOp op, List<Operand> operands) {
        HostTensor weights = constant(operands, 1).orElseThrow();
        Optional<HostTensor> bias = constant(operands, 2);
        OneNodeModel model = new OneNodeModel(OneNodeModel.opset(OPSET))
                .input("x", ElementType.FLOAT)
                .constant("w", weights);
        if (bias.isPresent()) {
            // Added behind the sum, as error moments add it to outputs that are stored without: equal layers give equal
            // bits.
            model.constant("b", alongChannels(op, weights, bias.get()))
                    .node(op.toNode("x", "w", "", "sum"))
                    .node(binary("Add", "sum", "b", "y"));
        } else {
            model.node(op.toNode("x", "w", "", "y"));
        }
        return new PreparedLayer(memory, op, weights.shape(), model);
    }

    static PreparedLayer of(MemoryUse memory, IntegerLayer layer, List<Operand> operands) {
        LayerOp op = layer.op();
        HostTensor steps = constant(operands, 1).orElseThrow();
        OneNodeModel model = new OneNodeModel(OneNodeModel.opset(OPSET))
                .input("x", layer.dataType())
                .node(NodeProto.newBuilder()
                        .setOpType("Cast")
                        .addInput("x")
                        .addOutput("q")
                        .addAttribute(AttributeProto.newBuilder()
                                .setName("to")
                                .setType(AttributeProto.AttributeType.INT)
                                .setI(ElementType.FLOAT.onnxCode()))
                        .build())
                .constant("zero", HostTensor.of(new float[] {layer.zero()}))
                .node(binary("Sub", "q", "zero", "difference"))
                .constant("w", steps)
                .node(op.toNode("difference", "w", "", "sum"))
                .constant(
                        "scale", alongChannels(op, steps, constant(operands, 2).orElseThrow()))
                .node(binary("Mul", "sum", "scale", "y"));
        return new PreparedLayer(memory, op, steps.shape(), model);
    }

    private static Optional<HostTensor> constant(List<Operand> operands, int i) {
        return i < operands.size() && operands.get(i) instanceof Operand.Constant c
                ? Optional.of(c.value())
                : Optional.empty();
    }

    private static NodeProto binary(String type, String a, String b, String output) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .addInput(a)
                .addInput(b)
                .addOutput(output)
                .build();
    }

    /** A vector [channels] shaped so that it broadcasts along the output's channels. */
    private static HostTensor alongChannels(LayerOp op, HostTensor weights, HostTensor vector) {
        int rank = weights.rank();
        int behind = rank - 1 - op.channelAxis(rank);
        long[] shape = new long[behind + 1];
        Arrays.fill(shape, 1);
        shape[0] = vector.elements();
        return vector.reshape(shape);
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuTensor x = (CpuTensor) variables.get(0);
        HostTensor storage = HostTensor.zeros(ElementType.FLOAT, op.outputShape(x.shape(), weightShape));
        try {
            OnnxTensor output = OnnxRuntime.view(storage);
            try {
                // The result does not own an output that it was given; closing it frees only the result.
                session.run(Map.of("x", x.value()), Map.of("y", output)).close();
                return List.of(new CpuTensor(memory, ElementType.FLOAT, output, Optional.of(storage)));
            } catch (OrtException | RuntimeException e) {
                output.close();
                throw e;
            }
        } catch (OrtException e) {
            throw new UnsupportedException(
                    op.type() + " with weights " + Shape.text(weightShape) + " cannot be run on data of shape "
                            + Shape.text(x.shape()) + ": " + OnnxRuntime.reason(e),
                    e);
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Sessions.close(session);
        }
    }
}
