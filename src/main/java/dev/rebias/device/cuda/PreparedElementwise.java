package dev.rebias.device.cuda;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.bytedeco.cuda.cudart.CUfunc_st;

/**
 * A group of elementwise operations in one kernel of its own. Where that is not possible (integers of shapes, outputs
 * of different shapes, types that kernels do not know) its members run one by one, and a single member on the host.
 */
final class PreparedElementwise implements PreparedOp {
    private final CudaContext context;
    private final ElementwiseGroup group;
    private final List<Operand> operands;
    private final PreparedOp otherwise;
    private final Optional<ElementwiseProgram> program;
    /** The inputs that are the same in every run: constants of the group, and vectors worked out from such. */
    private final Map<Integer, DeviceTensor> constants = new HashMap<>();

    private final Map<String, Optional<ElementwiseKernel>> kernels = new HashMap<>();

    /**
     * Prepares a group.
     *
     * @param otherwise what runs it where one kernel cannot; becomes this object's to close
     */
    PreparedElementwise(CudaContext context, ElementwiseGroup group, List<Operand> operands, PreparedOp otherwise) {
        this.context = context;
        this.group = group;
        this.operands = List.copyOf(operands);
        this.otherwise = otherwise;
        this.program = ElementwiseProgram.of(group, operands);
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (program.isEmpty() || variables.stream().noneMatch(DeviceTensor.class::isInstance)) {
            return otherwise.run(variables);
        }
        Map<Integer, Tensor> byOperand = new HashMap<>();
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                byOperand.put(i, variables.get(next++));
            }
        }
        // A float that was worked out from shapes joins the others; integers make it nothing for a kernel.
        if (byOperand.values().stream().anyMatch(t -> t instanceof HostResident && t.type() != ElementType.FLOAT)) {
            return otherwise.run(variables);
        }
        try (Partial sent = new Partial()) {
            List<DeviceTensor> inputs = new ArrayList<>();
            for (int i = 0; i < program.get().inputs().size(); i++) {
                inputs.add(input(i, byOperand, sent));
            }
            for (int i = 0; i < inputs.size(); i++) {
                ElementType type = inputs.get(i).type();
                boolean fits = program.get().inputs().get(i).quantized()
                        ? type == ElementType.UINT8 || type == ElementType.INT8
                        : type == ElementType.FLOAT;
                if (!fits) {
                    return otherwise.run(variables);
                }
            }
            String key =
                    inputs.stream().map(t -> t.type() + Shape.text(t.shape())).collect(Collectors.joining(" "));
            Optional<ElementwiseKernel> kernel = kernels.computeIfAbsent(
                    key,
                    k -> ElementwiseKernel.of(
                            group.type(),
                            program.get(),
                            inputs.stream().map(DeviceTensor::shape).toList(),
                            inputs.stream().map(DeviceTensor::type).toList()));
            return kernel.isPresent() ? launch(kernel.get(), inputs) : otherwise.run(variables);
        }
    }

    private DeviceTensor input(int i, Map<Integer, Tensor> byOperand, Partial sent) {
        ElementwiseProgram.Input input = program.orElseThrow().inputs().get(i);
        Tensor variable = byOperand.get(input.operand());
        if (variable instanceof DeviceTensor t) {
            return t;
        }
        if (variable instanceof HostResident h) {
            return sent.keep(context.upload(h.values()));
        }
        return constants.computeIfAbsent(
                i,
                k -> context.upload(
                        input.vector().orElseGet(() -> ((Operand.Constant) operands.get(input.operand())).value())));
    }

    private List<Tensor> launch(ElementwiseKernel kernel, List<DeviceTensor> inputs) {
        long n = Shape.elements(kernel.shape());
        try (Partial made = new Partial()) {
            List<DeviceTensor> outputs = new ArrayList<>();
            for (ElementType type : kernel.types()) {
                outputs.add(made.keep(DeviceTensor.allocate(context, type, kernel.shape())));
            }
            if (n > 0) {
                CUfunc_st function = context.kernels().elementwise(group.type(), kernel.source());
                boolean small = kernel.source().contains("typedef int Index");
                // Addresses first: one may have to wait for its upload.
                long[] addresses =
                        inputs.stream().mapToLong(DeviceTensor::address).toArray();
                Launch arguments = index(context.arguments(), small, n);
                for (int i = 0; i < addresses.length; i++) {
                    arguments.pointer(addresses[i]);
                    ElementwiseKernel.Read read = kernel.reads().get(i);
                    if (read.layout() == ElementwiseKernel.Layout.CHANNEL) {
                        index(arguments, small, read.inner());
                        index(arguments, small, read.channels());
                    }
                    read.index().ifPresent(arguments::index);
                }
                program.orElseThrow().constants().forEach(arguments::float32);
                outputs.forEach(o -> arguments.pointer(o.address()));
                arguments.over(function, "elementwise " + group.type(), (n + 3) / 4);
            }
            made.complete();
            return List.copyOf(outputs);
        }
    }

    private static Launch index(Launch arguments, boolean small, long value) {
        return small ? arguments.int32(value) : arguments.int64(value);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        constants.values().forEach(c -> all.add(c::close));
        constants.clear();
        all.close();
    }
}
