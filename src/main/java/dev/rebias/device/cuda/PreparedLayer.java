package dev.rebias.device.cuda;

import dev.rebias.device.Device;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A layer as up to three operations: for integers, the data without their zero point as floats; the sum, by cuDNN or
 * cuBLAS; and for integers the scale, else the bias if there is one.
 */
final class PreparedLayer implements PreparedOp {
    private final List<PreparedOp> steps;

    private PreparedLayer(List<PreparedOp> steps) {
        this.steps = List.copyOf(steps);
    }

    /** An elementwise operation of the layer with its operands, of which the first varies. */
    record Part(ElementwiseGroup group, List<Operand> operands) {}

    /**
     * What there is besides the sum.
     *
     * @param before what happens to the data
     * @param behind what happens to the sum
     */
    record Parts(Optional<Part> before, Optional<Part> behind) {}

    static Parts parts(LayerOp op, List<Operand> operands) {
        HostTensor weights = ((Operand.Constant) operands.get(1)).value();
        boolean biased = operands.size() > 2 && operands.get(2) instanceof Operand.Constant;
        return new Parts(
                Optional.empty(),
                biased ? Optional.of(alongChannels(OnnxOp.add(), op, weights, operands.get(2))) : Optional.empty());
    }

    static Parts parts(IntegerLayer layer, List<Operand> operands) {
        HostTensor weights = ((Operand.Constant) operands.get(1)).value();
        Optional<Part> before = layer.dataType() == ElementType.FLOAT
                ? Optional.empty()
                : Optional.of(new Part(
                        group(OnnxOp.dequantizeLinear(), 3),
                        List.of(
                                new Operand.Variable(),
                                new Operand.Constant(HostTensor.of(new float[] {1})),
                                new Operand.Constant(HostTensor.ofByte(layer.dataType(), layer.zero())))));
        return new Parts(
                before,
                operands.get(2) instanceof Operand.Constant
                        ? Optional.of(alongChannels(OnnxOp.multiply(), layer.op(), weights, operands.get(2)))
                        : Optional.empty());
    }

    static PreparedOp of(Device device, CudaContext context, LayerOp op, List<Operand> operands, boolean tf32) {
        return of(device, context, op, parts(op, operands), operands, tf32);
    }

    static PreparedOp of(Device device, CudaContext context, IntegerLayer layer, List<Operand> operands) {
        Supplier<PreparedOp> plain = () -> of(device, context, layer.op(), parts(layer, operands), operands, false);
        Optional<LayerGroup> scaled = scaled(layer, operands);
        return scaled.isEmpty()
                ? plain.get()
                : inOneKernel(context, scaled.get(), scaledOperands(layer, operands), plain);
    }

    /** A layer with a scale, as one without behind which its sums are multiplied. */
    static Optional<LayerGroup> scaled(IntegerLayer layer, List<Operand> operands) {
        return parts(layer, operands).behind().map(p -> new LayerGroup(layer, p.group(), 0));
    }

    /** Its operands. */
    static List<Operand> scaledOperands(IntegerLayer layer, List<Operand> operands) {
        List<Operand> all =
                new ArrayList<>(parts(layer, operands).behind().orElseThrow().operands());
        all.add(operands.get(1));
        all.add(new Operand.Absent());
        return all;
    }

    /**
     * A layer on integers and what follows it, in one kernel where there is one for it.
     *
     * @param otherwise the same in several
     */
    static PreparedOp inOneKernel(
            CudaContext context, LayerGroup op, List<Operand> operands, Supplier<PreparedOp> otherwise) {
        Optional<Integers> integers = integers(op, operands);
        if (integers.isEmpty()) {
            return otherwise.get();
        }
        IntegerForm form = integers.get().form();
        IntegerForm.Table table = integers.get().table();
        try (Partial made = new Partial()) {
            IntegerTables tables = made.keep(new IntegerTables(context, form, List.of(table)));
            PreparedOp prepared = new PreparedElementwise(
                    context,
                    op.group(),
                    LayerThenGroup.ofGroup(op, operands),
                    Optional.of(new PreparedElementwise.Front(op.place(), form, table.planes(), tables)),
                    new OnDemand(otherwise));
            made.complete();
            return prepared;
        }
    }

    /** A layer on integers as one kernel computes it. */
    record Integers(IntegerForm form, IntegerForm.Table table) {}

    /** The layer of a group as one kernel computes it; empty if none does. */
    static Optional<Integers> integers(LayerGroup op, List<Operand> operands) {
        if (!(op.layer() instanceof IntegerLayer layer)) {
            return Optional.empty();
        }
        List<Operand> own = LayerThenGroup.ofLayer(op, operands);
        if (!(own.get(1) instanceof Operand.Constant weights)) {
            return Optional.empty();
        }
        return IntegerForm.of(layer.op(), weights.value().shape(), Optional.of(layer.dataType()), layer.zero())
                .flatMap(form -> form.table(weights.value(), own.get(2)).map(table -> new Integers(form, table)));
    }

    private static PreparedOp of(
            Device device, CudaContext context, LayerOp op, Parts parts, List<Operand> operands, boolean tf32) {
        HostTensor weights = ((Operand.Constant) operands.get(1)).value();
        try (Partial made = new Partial()) {
            List<PreparedOp> steps = new ArrayList<>();
            parts.before().ifPresent(p -> steps.add(made.keep(device.prepare(p.group(), p.operands()))));
            steps.add(made.keep(CudaDevice.sum(context, op, weights, tf32)));
            parts.behind().ifPresent(p -> steps.add(made.keep(device.prepare(p.group(), p.operands()))));
            made.complete();
            return steps.size() == 1 ? steps.get(0) : new PreparedLayer(steps);
        }
    }

    /** An operation with a vector [channels] that broadcasts along the output's channels. */
    private static Part alongChannels(OnnxOp binary, LayerOp op, HostTensor weights, Operand vector) {
        int rank = weights.rank();
        long[] shape = new long[rank - op.channelAxis(rank)];
        Arrays.fill(shape, 1);
        HostTensor values = ((Operand.Constant) vector).value();
        shape[0] = values.elements();
        return new Part(group(binary, 2), List.of(new Operand.Variable(), new Operand.Constant(values.reshape(shape))));
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
