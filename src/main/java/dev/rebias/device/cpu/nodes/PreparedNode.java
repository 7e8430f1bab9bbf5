package dev.rebias.device.cpu.nodes;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.OnnxOp;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Any ONNX node as an ONNX Runtime session. The session is made at the first run, because only then the types of its
 * inputs are known. It runs in the thread that calls it.
 */
public final class PreparedNode implements PreparedOp {
    private final CpuContext context;
    private final OnnxOp op;
    private final List<Operand> operands;
    private final List<String> variableNames = new ArrayList<>();
    private final List<String> outputNames;
    private Optional<OrtSession> session = Optional.empty();

    public PreparedNode(CpuContext context, OnnxOp op, List<Operand> operands) {
        this.context = context;
        this.op = op;
        this.operands = List.copyOf(operands);
        this.outputNames =
                op.node().getOutputList().stream().filter(o -> !o.isEmpty()).toList();
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                // A tensor that is used twice is one input of the session.
                variableNames.add(seen.add(name(i)) ? name(i) : "");
            }
        }
    }

    private String name(int operand) {
        int inputs = op.node().getInputCount();
        return operand < inputs ? op.node().getInput(operand) : op.captures().get(operand - inputs);
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        try {
            try (Laid laid = new Laid()) {
                Map<String, OnnxTensor> inputs = new HashMap<>();
                for (int i = 0; i < variables.size(); i++) {
                    if (!variableNames.get(i).isEmpty()) {
                        inputs.put(variableNames.get(i), laid.plain((CpuTensor) variables.get(i)));
                    }
                }
                // The result is not closed as a whole: its values live on in the tensors.
                return take(session(variables).run(inputs));
            }
        } catch (OrtException e) {
            String shapes =
                    variables.stream().map(Tensor::shape).map(Shape::text).collect(Collectors.joining(" "));
            throw new UnsupportedException(
                    "node '" + op.node().getName() + "' (" + op.type() + ") cannot be run on inputs " + shapes + ": "
                            + OnnxRuntime.reason(e),
                    e);
        }
    }

    /** Inputs in the order that ONNX Runtime knows, for as long as a run takes. */
    private final class Laid implements AutoCloseable {
        private final Resources copies = new Resources();

        OnnxTensor plain(CpuTensor x) {
            if (x.lies(Layout.PLAIN)) {
                return x.value();
            }
            CpuTensor copy = context.layouts().in(Layout.PLAIN, x);
            copies.add(copy::close);
            return copy.value();
        }

        @Override
        public void close() {
            copies.close();
        }
    }

    private synchronized OrtSession session(List<Tensor> variables) throws OrtException {
        if (session.isEmpty()) {
            session = Optional.of(open(variables));
        }
        return session.get();
    }

    private List<Tensor> take(OrtSession.Result result) {
        List<Tensor> outputs = new ArrayList<>();
        try {
            for (String name : outputNames) {
                OnnxValue value = result.get(name).orElseThrow();
                ElementType type = OnnxRuntime.elementType(name, value);
                outputs.add(CpuTensor.of(context.memory(), type, (OnnxTensor) value));
            }
            return outputs;
        } catch (RuntimeException e) {
            outputs.forEach(Tensor::close);
            result.close();
            throw e;
        }
    }

    private OrtSession open(List<Tensor> variables) throws OrtException {
        OneNodeModel model = new OneNodeModel(op.opsets()).node(op.node());
        Set<String> defined = new HashSet<>();
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            boolean isNew = defined.add(name(i));
            if (operands.get(i) instanceof Operand.Constant constant && isNew) {
                model.constant(name(i), constant.value());
            } else if (operands.get(i) instanceof Operand.Variable) {
                ElementType type = variables.get(next++).type();
                if (isNew) {
                    model.input(name(i), type);
                }
            }
        }
        outputNames.forEach(model::output);
        return OnnxRuntime.session(
                model.serialise(), OrtSession.SessionOptions.OptLevel.BASIC_OPT, OnnxRuntime.Threads.CALLER);
    }

    @Override
    public void close() {
        session.ifPresent(Sessions::close);
        session = Optional.empty();
    }
}
