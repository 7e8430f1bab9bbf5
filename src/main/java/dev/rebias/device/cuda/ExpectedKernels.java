package dev.rebias.device.cuda;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.Operand;
import dev.rebias.device.Upcoming;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.Gemm;
import dev.rebias.op.InTf32;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The elementwise kernels that operations will need, as far as that follows from the shapes of their variables:
 * whatever {@link CudaDevice#prepare} makes of an operation, this does without a card. A kernel that is not among them
 * is compiled when it is first run.
 */
final class ExpectedKernels {
    /** The sources, and what for. */
    private final Map<String, String> titles = new LinkedHashMap<>();

    private ExpectedKernels() {}

    /** The sources with their titles. */
    static Map<String, String> of(List<Upcoming> operations) {
        ExpectedKernels all = new ExpectedKernels();
        for (Upcoming u : operations) {
            try {
                all.add(u.op(), u.operands(), u.shapes());
            } catch (UnsupportedException | IllegalArgumentException e) {
                // What does not fit will say so when it runs, with the shapes that it then has.
            }
        }
        return all.titles;
    }

    private void add(Op op, List<Operand> operands, List<Optional<long[]>> shapes) {
        if (op instanceof InTf32 rounded) {
            add(rounded.layer(), operands, shapes);
        } else if (op instanceof LayerOp layer) {
            layer(layer, PreparedLayer.parts(layer, operands), operands, shapes);
        } else if (op instanceof IntegerLayer layer) {
            Optional<LayerGroup> scaled = PreparedLayer.scaled(layer, operands);
            if (scaled.isEmpty() || !inOneKernel(scaled.get(), PreparedLayer.scaledOperands(layer, operands), shapes)) {
                layer(layer.op(), PreparedLayer.parts(layer, operands), operands, shapes);
            }
        } else if (op instanceof LayerGroup behind) {
            if (inOneKernel(behind, operands, shapes)) {
                return;
            }
            int position = LayerThenGroup.position(behind, operands);
            List<Operand> own = LayerThenGroup.ofLayer(behind, operands);
            Optional<long[]> data = shapes.get(position);
            add(behind.layer(), own, List.of(data));
            List<Optional<long[]>> inputs = new ArrayList<>(shapes);
            LayerOp layer =
                    behind.layer() instanceof IntegerLayer i ? i.op() : (LayerOp) InTf32.without(behind.layer());
            inputs.set(position, data.map(d -> layer.outputShape(d, weights(own).shape())));
            add(behind.group(), LayerThenGroup.ofGroup(behind, operands), inputs);
        } else if (op instanceof ElementwiseGroup group) {
            group(group, operands, shapes);
        } else {
            OnnxOp node = (OnnxOp) op;
            Optional<CudaDevice.AsLayer> layer = CudaDevice.asLayer(node, operands);
            if (layer.isPresent()) {
                add(layer.get().op(), layer.get().operands(), shapes);
            } else if (ElementwiseGroup.admits(node)) {
                group(CudaDevice.alone(node, operands), operands, shapes);
            }
        }
    }

    private static HostTensor weights(List<Operand> ofLayer) {
        return ((Operand.Constant) ofLayer.get(1)).value();
    }

    private void layer(LayerOp op, PreparedLayer.Parts parts, List<Operand> operands, List<Optional<long[]>> shapes) {
        // A product's rows have as many elements as its weights say; how many rows there are decides nothing, but that
        // there are several.
        Optional<long[]> data = shapes.get(0)
                .or(() -> (op instanceof Gemm g && !g.transA()) || op instanceof MatMul
                        ? Optional.of(new long[] {
                            2,
                            weights(operands).elements()
                                    / op.channels(weights(operands).shape())
                        })
                        : Optional.empty());
        parts.before().ifPresent(p -> group(p.group(), p.operands(), List.of(data)));
        Optional<long[]> output =
                data.map(s -> op.outputShape(s, weights(operands).shape()));
        parts.behind().ifPresent(p -> group(p.group(), p.operands(), List.of(output)));
    }

    /** Whether a layer and what follows it has a kernel of its own, which is expected then if its shapes are known. */
    private boolean inOneKernel(LayerGroup op, List<Operand> operands, List<Optional<long[]>> shapes) {
        Optional<PreparedLayer.Integers> integers = PreparedLayer.integers(op, operands);
        List<Operand> own = LayerThenGroup.ofGroup(op, operands);
        Optional<ElementwiseProgram> program = ElementwiseProgram.of(op.group(), own);
        if (integers.isEmpty() || program.isEmpty()) {
            return false;
        }
        IntegerForm form = integers.get().form();
        int position = LayerThenGroup.position(op, operands);
        if (shapes.get(position).isEmpty()) {
            return true;
        }
        Optional<IntegerForm.Geometry> geometry = form.at(shapes.get(position).get());
        if (geometry.isEmpty()) {
            return false;
        }
        List<Optional<long[]>> inputs = new ArrayList<>(shapes);
        inputs.set(position, Optional.of(geometry.get().output()));
        Optional<Known> known = known(op.group(), program.get(), own, inputs);
        if (known.isEmpty()) {
            return true;
        }
        Optional<ElementwiseKernel> kernel = PreparedElementwise.behind(
                op.group(),
                program.get(),
                op.place(),
                form,
                integers.get().table().planes(),
                known.get().shapes(),
                known.get().types());
        kernel.ifPresent(
                k -> titles.putIfAbsent(k.source(), "Conv+" + op.group().type()));
        return kernel.isPresent();
    }

    /** What a program reads. */
    private record Known(List<long[]> shapes, List<ElementType> types) {}

    private static Optional<Known> known(
            ElementwiseGroup group, ElementwiseProgram program, List<Operand> operands, List<Optional<long[]>> shapes) {
        List<Optional<long[]>> byOperand = new ArrayList<>();
        int next = 0;
        for (Operand operand : operands) {
            byOperand.add(
                    operand instanceof Operand.Variable
                            ? shapes.get(next++)
                            : operand instanceof Operand.Constant c
                                    ? Optional.of(c.value().shape())
                                    : Optional.empty());
        }
        List<long[]> known = new ArrayList<>();
        List<ElementType> types = new ArrayList<>();
        for (ElementwiseProgram.Input input : program.inputs()) {
            Optional<long[]> shape = input.vector().map(HostTensor::shape).or(() -> byOperand.get(input.operand()));
            if (shape.isEmpty()) {
                return Optional.empty();
            }
            known.add(shape.get());
            types.add(input.quantized() ? integers(group, operands, input.operand()) : ElementType.FLOAT);
        }
        return Optional.of(new Known(known, types));
    }

    private void group(ElementwiseGroup group, List<Operand> operands, List<Optional<long[]>> shapes) {
        Optional<ElementwiseProgram> program = ElementwiseProgram.of(group, operands);
        program.flatMap(p -> known(group, p, operands, shapes))
                .flatMap(k -> ElementwiseKernel.of(group.type(), program.get(), k.shapes(), k.types()))
                .ifPresent(k -> titles.putIfAbsent(k.source(), group.type()));
    }

    /** The type of integers: the zero point's with which they are dequantised. */
    private static ElementType integers(ElementwiseGroup group, List<Operand> operands, int operand) {
        if (operands.get(operand) instanceof Operand.Constant c) {
            return c.value().type();
        }
        return group.members().stream()
                .map(ElementwiseGroup.Member::inputs)
                .filter(i -> i.size() > 2 && i.get(0) == operand && i.get(2) >= 0 && i.get(2) < operands.size())
                .map(i -> operands.get(i.get(2)))
                .filter(Operand.Constant.class::isInstance)
                .map(o -> ((Operand.Constant) o).value().type())
                .findFirst()
                .orElse(ElementType.UINT8);
    }
}
