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
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.cuda.cudart.CUfunc_st;

/**
 * A group of elementwise operations in one kernel of its own, or in that of the layer on integers before it. Where that
 * is not possible (integers of shapes, outputs of different shapes, types that kernels do not know) its members run one
 * by one, and a single member on the host.
 */
final class PreparedElementwise implements PreparedOp {
    private final CudaContext context;
    private final ElementwiseGroup group;
    private final List<Operand> operands;
    private final PreparedOp otherwise;
    private final Optional<ElementwiseProgram> program;
    private final Optional<Front> front;
    /** The inputs that are the same in every run: constants of the group, and vectors worked out from such. */
    private final Map<Integer, DeviceTensor> constants = new HashMap<>();

    private final Map<String, Optional<ElementwiseKernel>> kernels = new HashMap<>();

    /**
     * A layer on integers whose output only the group reads.
     *
     * @param place the group's operand that it is
     * @param planes of its weights
     */
    record Front(int place, IntegerForm form, int planes, IntegerTables tables) {}

    /** What the kernel reads: a tensor, or what the layer before makes of one. */
    private record Input(ElementType type, long[] shape, Optional<DeviceTensor> tensor) {}

    /**
     * Prepares a group.
     *
     * @param otherwise what runs it where one kernel cannot; becomes this object's to close
     */
    PreparedElementwise(CudaContext context, ElementwiseGroup group, List<Operand> operands, PreparedOp otherwise) {
        this(context, group, operands, Optional.empty(), otherwise);
    }

    /**
     * Prepares a group with the layer before it, whose tables become this object's to close.
     *
     * @param operands the group's; in the layer's place, its data
     */
    PreparedElementwise(
            CudaContext context,
            ElementwiseGroup group,
            List<Operand> operands,
            Optional<Front> front,
            PreparedOp otherwise) {
        this.context = context;
        this.group = group;
        this.operands = List.copyOf(operands);
        this.front = front;
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
        Optional<IntegerTables.Shaped> shaped =
                front.flatMap(f -> f.form().type() == byOperand.get(f.place()).type()
                                && byOperand.get(f.place()) instanceof DeviceTensor x
                                && x.elements() > 0
                        ? f.tables().at(x.shape())
                        : Optional.empty());
        if (front.isPresent() && shaped.isEmpty()) {
            return otherwise.run(variables);
        }
        try (Partial sent = new Partial()) {
            List<Input> inputs = new ArrayList<>();
            for (int i = 0; i < program.get().inputs().size(); i++) {
                inputs.add(input(i, byOperand, shaped, sent));
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
            Optional<ElementwiseKernel> kernel = kernels.computeIfAbsent(key, k -> kernel(inputs));
            if (kernel.isEmpty()) {
                return otherwise.run(variables);
            }
            return shaped.isEmpty()
                    ? launch(kernel.get(), inputs)
                    : launch(kernel.get(), inputs, shaped.get(), (DeviceTensor)
                            byOperand.get(front.orElseThrow().place()));
        }
    }

    private Optional<ElementwiseKernel> kernel(List<Input> inputs) {
        List<long[]> shapes = inputs.stream().map(Input::shape).toList();
        List<ElementType> types = inputs.stream().map(Input::type).toList();
        return front.isPresent()
                ? behind(
                        group,
                        program.orElseThrow(),
                        front.get().place(),
                        front.get().form(),
                        front.get().planes(),
                        shapes,
                        types)
                : ElementwiseKernel.of(group.type(), program.orElseThrow(), shapes, types);
    }

    /** The kernel of a layer on integers with the group behind it; empty if there is none for such shapes. */
    static Optional<ElementwiseKernel> behind(
            ElementwiseGroup group,
            ElementwiseProgram program,
            int place,
            IntegerForm form,
            int planes,
            List<long[]> shapes,
            List<ElementType> types) {
        OptionalInt own = IntStream.range(0, shapes.size())
                .filter(i -> program.inputs().get(i).operand() == place)
                .findFirst();
        return own.isEmpty()
                ? Optional.empty()
                : ElementwiseKernel.behind(
                        "Conv+" + group.type(), form, planes, own.getAsInt(), program, shapes, types);
    }

    private Input input(int i, Map<Integer, Tensor> byOperand, Optional<IntegerTables.Shaped> shaped, Partial sent) {
        ElementwiseProgram.Input input = program.orElseThrow().inputs().get(i);
        if (shaped.isPresent() && input.operand() == front.orElseThrow().place()) {
            return new Input(ElementType.FLOAT, shaped.get().geometry().output(), Optional.empty());
        }
        DeviceTensor tensor = tensor(i, input, byOperand, sent);
        return new Input(tensor.type(), tensor.shape(), Optional.of(tensor));
    }

    private DeviceTensor tensor(int i, ElementwiseProgram.Input input, Map<Integer, Tensor> byOperand, Partial sent) {
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

    private List<Tensor> launch(ElementwiseKernel kernel, List<Input> inputs) {
        long n = Shape.elements(kernel.shape());
        try (Partial made = new Partial()) {
            List<DeviceTensor> outputs = outputs(kernel, made);
            if (n > 0) {
                CUfunc_st function = context.kernels().elementwise(group.type(), kernel.source());
                long[] addresses = addresses(inputs);
                Launch arguments = index(context.arguments(), kernel.small(), n);
                add(arguments, kernel, inputs, addresses, outputs);
                arguments.over(function, "elementwise " + group.type(), (n + 3) / 4);
            }
            made.complete();
            return List.copyOf(outputs);
        }
    }

    private List<Tensor> launch(
            ElementwiseKernel kernel, List<Input> inputs, IntegerTables.Shaped shaped, DeviceTensor x) {
        IntegerForm form = front.orElseThrow().form();
        try (Partial made = new Partial()) {
            List<DeviceTensor> outputs = outputs(kernel, made);
            CUfunc_st function = context.kernels().of("Conv+" + group.type(), kernel.source(), "integer_layer");
            long[] addresses = addresses(inputs);
            Launch arguments = front.get().tables().arguments(shaped, x);
            add(arguments, kernel, inputs, addresses, outputs);
            arguments.blocks(function, "Conv+" + group.type(), form.outputBlocks(shaped.geometry()));
            made.complete();
            return List.copyOf(outputs);
        }
    }

    private List<DeviceTensor> outputs(ElementwiseKernel kernel, Partial made) {
        List<DeviceTensor> outputs = new ArrayList<>();
        for (ElementType type : kernel.types()) {
            outputs.add(made.keep(DeviceTensor.allocate(context, type, kernel.shape())));
        }
        return outputs;
    }

    /** Before arguments are begun: one may have to wait for its upload. */
    private static long[] addresses(List<Input> inputs) {
        return inputs.stream()
                .mapToLong(i -> i.tensor().map(DeviceTensor::address).orElse(0L))
                .toArray();
    }

    private void add(
            Launch arguments,
            ElementwiseKernel kernel,
            List<Input> inputs,
            long[] addresses,
            List<DeviceTensor> outputs) {
        for (int i = 0; i < addresses.length; i++) {
            ElementwiseKernel.Read read = kernel.reads().get(i);
            if (inputs.get(i).tensor().isEmpty()) {
                continue;
            }
            arguments.pointer(addresses[i]);
            if (read.layout() == ElementwiseKernel.Layout.CHANNEL) {
                index(arguments, kernel.small(), read.inner());
                index(arguments, kernel.small(), read.channels());
            }
            read.index().ifPresent(arguments::index);
        }
        program.orElseThrow().constants().forEach(arguments::float32);
        outputs.forEach(o -> arguments.pointer(o.address()));
    }

    private static Launch index(Launch arguments, boolean small, long value) {
        return small ? arguments.int32(value) : arguments.int64(value);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        front.ifPresent(f -> all.add(f.tables()::close));
        constants.values().forEach(c -> all.add(c::close));
        constants.clear();
        all.close();
    }
}
