package dev.rebias.device.cuda;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** An ONNX node that is no group: in its form for the card where its data are there, else on the host. */
final class PreparedNode implements PreparedOp {
    private final OnnxOp op;
    private final List<Operand> operands;
    private final Inputs inputs;
    private final Optional<NodeForms.Form> form;
    private final PreparedOp otherwise;
    /**
     * Whether it looks up rows of floats, as an embedding does: the indices come from the host, but what comes out are
     * data.
     */
    private final boolean table;

    /**
     * Prepares a node.
     *
     * @param otherwise what runs it on the host; becomes this object's to close
     */
    PreparedNode(CudaContext context, OnnxOp op, List<Operand> operands, PreparedOp otherwise) {
        this.op = op;
        this.operands = List.copyOf(operands);
        this.otherwise = otherwise;
        this.inputs = new Inputs(context);
        this.form = NodeForms.of(op);
        this.table = op.type().equals("Gather")
                && operands.get(0) instanceof Operand.Constant data
                && data.value().type() == ElementType.FLOAT
                && data.value().rank() > 1;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (form.isEmpty() || (!table && variables.stream().noneMatch(DeviceTensor.class::isInstance))) {
            return otherwise.run(variables);
        }
        List<Optional<Tensor>> values = new ArrayList<>();
        int next = 0;
        for (Operand operand : operands) {
            values.add(operand instanceof Operand.Variable ? Optional.of(variables.get(next++)) : Optional.empty());
        }
        try (Partial sent = new Partial()) {
            inputs.set(operands, values, sent);
            return form.get().run(op, inputs).orElseGet(() -> otherwise.run(variables));
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        all.add(inputs::close);
        all.close();
    }
}
