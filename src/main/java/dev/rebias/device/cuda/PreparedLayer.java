package dev.rebias.device.cuda;

import dev.rebias.device.Device;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A layer as up to three operations: for integers, the data without their zero point as floats; the sum, by cuDNN or cuBLAS; and for integers the scale, else
 * the bias if there is one.
 */
final class PreparedLayer implements PreparedOp {
    private final List<PreparedOp> steps;

    private PreparedLayer(List<PreparedOp> steps) {
        this.steps = List.copyOf(steps);
    }

    static PreparedOp of(Device device, CudaContext context, LayerOp op, List<Operand> operands) {
        HostTensor weights = ((Operand.Constant) operands.get(1)).value();
        boolean biased = operands.size() > 2 && operands.get(2) instanceof Operand.Constant;
        if (!biased) {
            return CudaDevice.sum(context, op, weights);
        }
        try (Partial made = new Partial()) {
            PreparedOp sum = made.keep(CudaDevice.sum(context, op, weights));
            PreparedOp add = made.keep(alongChannels(device, OnnxOp.add(), op, weights, operands.get(2)));
            made.complete();
            return new PreparedLayer(List.of(sum, add));
        }
    }

    static PreparedOp of(Device device, CudaContext context, IntegerLayer layer, List<Operand> operands) {
        HostTensor weights = ((Operand.Constant) operands.get(1)).value();
        try (Partial made = new Partial()) {
            List<PreparedOp> steps = new ArrayList<>();
            if (layer.dataType() != ElementType.FLOAT) {
                steps.add(made.keep(device.prepare(
                        group(OnnxOp.dequantizeLinear(), 3),
                        List.of(
                                new Operand.Variable(),
                                new Operand.Constant(HostTensor.of(new float[] {1})),
                                new Operand.Constant(HostTensor.ofByte(layer.dataType(), layer.zero()))))));
            }
            steps.add(made.keep(CudaDevice.sum(context, layer.op(), weights)));
            if (operands.get(2) instanceof Operand.Constant) {
                steps.add(made.keep(alongChannels(device, OnnxOp.multiply(), layer.op(), weights, operands.get(2))));
            }
            made.complete();
            return new PreparedLayer(steps);
        }
    }

    /** An operation with a vector [channels] that broadcasts along the output's channels. */
    private static PreparedOp alongChannels(
            Device device, OnnxOp binary, LayerOp op, HostTensor weights, Operand vector) {
        int rank = weights.rank();
        long[] shape = new long[rank - op.channelAxis(rank)];
        Arrays.fill(shape, 1);
        HostTensor values = ((Operand.Constant) vector).value();
        shape[0] = values.elements();
        return device.prepare(
                group(binary, 2), List.of(new Operand.Variable(), new Operand.Constant(values.reshape(shape))));
    }

    private static ElementwiseGroup group(OnnxOp op, int inputs) {
        List<Integer> all = inputs == 2 ? List.of(0, 1) : List.of(0, 1, 2);
        return new ElementwiseGroup(inputs, List.of(new ElementwiseGroup.Member(op, all)), List.of(inputs));
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        Tensor value = variables.get(0);
        for (PreparedOp step : steps) {
            Tensor input = value;
            try {
                value = step.run(List.of(input)).get(0);
            } finally {
                if (input != variables.get(0)) {
                    input.close();
                }
            }
        }
        return List.of(value);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        steps.forEach(s -> all.add(s::close));
        all.close();
    }
}
