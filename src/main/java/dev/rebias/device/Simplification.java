package dev.rebias.device;

import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * An elementwise program that does the same with fewer instructions: no Relus and Clips that only a quantiser sees
 * which saturates where they clip, and HardSwish as one.
 */
final class Simplification {
    private static final double SIXTH = 1.0 / 6;

    private final ElementwiseProgram program;
    private final List<Instruction> instructions;

    private Simplification(ElementwiseProgram program) {
        this.program = program;
        this.instructions = new ArrayList<>(program.instructions());
    }

    static ElementwiseProgram of(ElementwiseProgram program) {
        return new Simplification(program).simplified();
    }

    private ElementwiseProgram simplified() {
        for (int m = 0; m < instructions.size(); m++) {
            int member = m;
            hardSwished(instructions.get(m))
                    .ifPresent(x ->
                            instructions.set(member, new Instruction(Code.HARD_SWISH, List.of(x), ElementType.FLOAT)));
            if (instructions.get(m).code() == Code.QUANTIZE) {
                instructions.set(m, withoutClip(instructions.get(m)));
            }
        }
        return used();
    }

    /** The program without what nothing uses any more. */
    private ElementwiseProgram used() {
        Set<Value> used = new HashSet<>();
        program.outputs().forEach(o -> used.add(member(o)));
        for (int m = instructions.size() - 1; m >= 0; m--) {
            if (used.contains(member(m))) {
                used.addAll(instructions.get(m).arguments());
            }
        }
        List<Instruction> kept = new ArrayList<>();
        int[] now = new int[instructions.size()];
        for (int m = 0; m < now.length; m++) {
            if (used.contains(member(m))) {
                Instruction old = instructions.get(m);
                now[m] = kept.size();
                List<Value> moved = old.arguments().stream()
                        .map(v -> v.source() == Value.Source.MEMBER ? member(now[v.index()]) : v)
                        .toList();
                kept.add(new Instruction(old.code(), moved, old.type()));
            }
        }
        return new ElementwiseProgram(
                program.inputs(),
                program.constants(),
                kept,
                program.outputs().stream().map(o -> now[o]).toList());
    }

    private static Value member(int m) {
        return new Value(Value.Source.MEMBER, m);
    }

    private Optional<Instruction> instruction(Value v, Code code) {
        return Optional.of(v)
                .filter(m -> m.source() == Value.Source.MEMBER)
                .map(m -> instructions.get(m.index()))
                .filter(i -> i.code() == code);
    }

    private OptionalDouble constant(Value v) {
        return v.source() == Value.Source.CONSTANT
                ? OptionalDouble.of(program.constants().get(v.index()))
                : OptionalDouble.empty();
    }

    private boolean is(Value v, double constant) {
        return constant(v).orElse(Double.NaN) == (float) constant;
    }

    /**
     * The x of which an instruction makes x clip(x + 3, 0, 6) / 6, in one of the ways in which exporters write that.
     */
    private Optional<Value> hardSwished(Instruction i) {
        List<Value> a = i.arguments();
        if (i.code() == Code.DIV && is(a.get(1), 6)) {
            return instruction(a.get(0), Code.MUL).flatMap(this::clippedTimes);
        }
        if (i.code() != Code.MUL) {
            return Optional.empty();
        }
        for (int k = 0; k < 2; k++) {
            Value x = a.get(1 - k);
            Optional<Value> found = is(x, SIXTH)
                    ? instruction(a.get(k), Code.MUL).flatMap(this::clippedTimes)
                    : hardSigmoid(a.get(k)).filter(x::equals);
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    /** The x of a product x clip(x + 3, 0, 6). */
    private Optional<Value> clippedTimes(Instruction product) {
        List<Value> a = product.arguments();
        return clipped(a.get(0)).filter(a.get(1)::equals).or(() -> clipped(a.get(1))
                .filter(a.get(0)::equals));
    }

    /** The x of which a value is clip(x + 3, 0, 6). */
    private Optional<Value> clipped(Value v) {
        return instruction(v, Code.CLIP)
                .filter(c -> is(c.arguments().get(1), 0) && is(c.arguments().get(2), 6))
                .flatMap(c -> instruction(c.arguments().get(0), Code.ADD))
                .flatMap(sum -> is(sum.arguments().get(1), 3)
                        ? Optional.of(sum.arguments().get(0))
                        : Optional.of(sum.arguments().get(1))
                                .filter(x -> is(sum.arguments().get(0), 3)));
    }

    /** The x of which a value is clip(x / 6 + 1 / 2, 0, 1). */
    private Optional<Value> hardSigmoid(Value v) {
        Optional<Value> x = instruction(v, Code.HARD_SIGMOID)
                .filter(h -> is(h.arguments().get(1), SIXTH) && is(h.arguments().get(2), 0.5))
                .map(h -> h.arguments().get(0));
        return x.isPresent()
                ? x
                : instruction(v, Code.DIV)
                        .filter(d -> is(d.arguments().get(1), 6))
                        .flatMap(d -> clipped(d.arguments().get(0)));
    }

    private Instruction withoutClip(Instruction quantizer) {
        List<Value> arguments = new ArrayList<>(quantizer.arguments());
        Value x = arguments.get(0);
        if (x.source() != Value.Source.MEMBER || !isNeedless(instructions.get(x.index()), quantizer)) {
            return quantizer;
        }
        arguments.set(0, instructions.get(x.index()).arguments().get(0));
        return new Instruction(quantizer.code(), arguments, quantizer.type());
    }

    private boolean isNeedless(Instruction clip, Instruction quantizer) {
        boolean relu = clip.code() == Code.RELU;
        OptionalDouble from = relu ? OptionalDouble.of(0) : bound(clip, 1);
        OptionalDouble to = relu ? OptionalDouble.of(Double.POSITIVE_INFINITY) : bound(clip, 2);
        OptionalDouble scale = constant(quantizer.arguments().get(1));
        OptionalDouble zero = constant(quantizer.arguments().get(2));
        if (from.isEmpty()
                || to.isEmpty()
                || scale.isEmpty()
                || zero.isEmpty()
                || constant(clip.arguments().get(0)).isPresent()) {
            return false;
        }
        double s = scale.getAsDouble();
        double z = zero.getAsDouble();
        double low = quantizer.type() == ElementType.UINT8 ? 0 : Byte.MIN_VALUE;
        double high = quantizer.type() == ElementType.UINT8 ? 255 : Byte.MAX_VALUE;
        return s > 0
                && from.getAsDouble() <= to.getAsDouble()
                && Math.rint(from.getAsDouble() / s) + z <= low
                && Math.rint(to.getAsDouble() / s) + z >= high;
    }

    private OptionalDouble bound(Instruction clip, int argument) {
        return clip.code() == Code.CLIP ? constant(clip.arguments().get(argument)) : OptionalDouble.empty();
    }
}
