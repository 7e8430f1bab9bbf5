package dev.rebias.sweep;

import dev.rebias.device.Operand;
import dev.rebias.op.Convolution;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.OnnxOp;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Joins elementwise steps of a segment that follow from each other into groups, of which a device makes one pass over
 * memory: adding the corrected bias, the activation function, quantising and dequantising, adding the other branch. And
 * joins a group to the layer before it, where nothing else uses that one's output.
 */
final class Fusion {
    /** A kernel's arguments and registers are finite; longer chains than this are cut. */
    private static final int MEMBERS = 16;

    private static final int OPERANDS = 16;

    /** A place in the segment's order: one step, or a group that is still growing. */
    private static final class Slot {
        private final List<Step> steps = new ArrayList<>();
        private final boolean group;

        Slot(Step step, boolean group) {
            this.steps.add(step);
            this.group = group;
        }

        /**
         * Whether it is worth being one: of several members, or of one for which it matters where its data are from.
         */
        private boolean isGroup(Set<Integer> computed) {
            return group && (steps.size() > 1 || steps.get(0).uses().stream().anyMatch(computed::contains));
        }
    }

    private Fusion() {}

    /**
     * Groups what can be grouped.
     *
     * @param steps a segment's steps, in order
     * @param usedLater the tensors that later segments use
     * @param computed the tensors that follow from what a layer computes
     */
    static List<Step> fuse(List<Step> steps, Set<Integer> usedLater, Set<Integer> computed) {
        List<Slot> slots = new ArrayList<>();
        Map<Integer, Integer> madeBy = new HashMap<>();
        for (Step step : steps) {
            int slot = slots.size();
            if (step instanceof Step.Run run && run.op() instanceof OnnxOp op && ElementwiseGroup.admits(op)) {
                // All of its inputs must exist where the group stands, so only the latest of their makers can be
                // joined.
                int latest = run.inputs().stream()
                        .mapToInt(i -> madeBy.getOrDefault(i, -1))
                        .max()
                        .orElse(-1);
                if (latest >= 0 && joins(slots.get(latest), run)) {
                    slot = latest;
                    slots.get(latest).steps.add(run);
                } else {
                    slots.add(new Slot(run, true));
                }
            } else {
                slots.add(new Slot(step, false));
            }
            if (step instanceof Step.Run run) {
                for (int output : run.outputs()) {
                    madeBy.put(output, slot);
                }
            }
        }
        List<Step> joined = slots.stream()
                .map(slot -> slot.isGroup(computed) ? join(slot, slots, usedLater, computed) : slot.steps.get(0))
                .toList();
        return withLayers(joined, usedLater);
    }

    /** Joins a convolution to the group behind it, where nothing else uses the layer's output. */
    private static List<Step> withLayers(List<Step> steps, Set<Integer> usedLater) {
        Map<Integer, Step.Run> makers = new HashMap<>();
        Map<Integer, Integer> uses = new HashMap<>();
        for (Step step : steps) {
            step.uses().forEach(t -> uses.merge(t, 1, Integer::sum));
            if (step instanceof Step.Run run && isConvolution(run)) {
                makers.put(run.outputs().get(0), run);
            }
        }
        makers.keySet().removeIf(t -> usedLater.contains(t) || uses.getOrDefault(t, 0) != 1);
        Set<Step> gone = new HashSet<>();
        List<Step> joined = new ArrayList<>();
        for (Step step : steps) {
            Optional<Integer> made = step instanceof Step.Run run && run.op() instanceof ElementwiseGroup
                    ? run.inputs().stream().filter(makers::containsKey).findFirst()
                    : Optional.empty();
            if (made.isPresent()) {
                Step.Run layer = makers.get(made.get());
                gone.add(layer);
                joined.add(join(layer, (Step.Run) step));
            } else {
                joined.add(step);
            }
        }
        joined.removeAll(gone);
        return joined;
    }

    private static boolean isConvolution(Step.Run run) {
        boolean alone = run.op() instanceof Convolution || run.op() instanceof IntegerLayer;
        return alone && run.layer().filter(l -> l.op() instanceof Convolution).isPresent();
    }

    private static Step.Run join(Step.Run layer, Step.Run behind) {
        ElementwiseGroup group = (ElementwiseGroup) behind.op();
        int position = behind.inputs().indexOf(layer.outputs().get(0));
        List<Integer> inputs = new ArrayList<>(behind.inputs());
        inputs.set(position, layer.inputs().get(0));
        List<Operand> operands = new ArrayList<>(behind.operands());
        operands.addAll(layer.operands().subList(1, layer.operands().size()));
        int place = IntStream.range(0, group.operands())
                .filter(i -> behind.operands().get(i) instanceof Operand.Variable)
                .skip(position)
                .findFirst()
                .orElseThrow();
        return new Step.Run(
                layer.name() + " to " + behind.name(),
                layer.purpose(),
                new LayerGroup(layer.op(), group, place),
                operands,
                inputs,
                behind.outputs());
    }

    private static boolean joins(Slot slot, Step.Run run) {
        int operands = slot.steps.stream()
                .mapToInt(s -> ((Step.Run) s).operands().size())
                .sum();
        return slot.group
                && slot.steps.size() < MEMBERS
                && operands + run.operands().size() <= OPERANDS + slot.steps.size();
    }

    private static Step.Run join(Slot slot, List<Slot> slots, Set<Integer> usedLater, Set<Integer> computed) {
        List<Step.Run> runs = slot.steps.stream().map(s -> (Step.Run) s).toList();
        Set<Integer> inside = runs.stream().flatMap(r -> r.outputs().stream()).collect(Collectors.toSet());
        // The operands: every constant, and every tensor from outside once.
        List<Operand> operands = new ArrayList<>();
        List<Integer> inputs = new ArrayList<>();
        Map<Integer, Integer> numbers = new HashMap<>();
        Map<Integer, List<Integer>> memberInputs = new HashMap<>();
        for (int i = 0; i < runs.size(); i++) {
            Step.Run run = runs.get(i);
            List<Integer> values = new ArrayList<>();
            int variable = 0;
            for (Operand operand : run.operands()) {
                if (operand instanceof Operand.Constant) {
                    values.add(operands.size());
                    operands.add(operand);
                } else if (operand instanceof Operand.Absent) {
                    values.add(Member.ABSENT);
                } else {
                    int tensor = run.inputs().get(variable++);
                    if (!inside.contains(tensor) && !numbers.containsKey(tensor)) {
                        numbers.put(tensor, operands.size());
                        operands.add(operand);
                        inputs.add(tensor);
                    }
                    // A tensor from inside is numbered below, when it is known how many operands there are.
                    values.add(inside.contains(tensor) ? -2 - tensor : numbers.get(tensor));
                }
            }
            memberInputs.put(i, values);
        }
        for (int i = 0; i < runs.size(); i++) {
            numbers.put(runs.get(i).outputs().get(0), operands.size() + i);
        }
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < runs.size(); i++) {
            List<Integer> values = memberInputs.get(i).stream()
                    .map(v -> v < Member.ABSENT ? numbers.get(-2 - v) : v)
                    .toList();
            members.add(new Member((OnnxOp) runs.get(i).op(), values));
        }
        Set<Integer> usedElsewhere = new HashSet<>(usedLater);
        slots.stream()
                .filter(s -> s != slot)
                .flatMap(s -> s.steps.stream())
                .forEach(step -> usedElsewhere.addAll(step.uses()));
        List<Integer> outputs = runs.stream()
                .map(r -> r.outputs().get(0))
                .filter(usedElsewhere::contains)
                .toList();
        String first = runs.get(0).name();
        String name = runs.size() == 1
                ? first
                : first + " to " + runs.get(runs.size() - 1).name();
        return new Step.Run(
                name,
                Step.Purpose.OTHER,
                new ElementwiseGroup(
                        operands.size(),
                        members,
                        outputs.stream().map(numbers::get).toList(),
                        inputs.stream().anyMatch(computed::contains)),
                operands,
                inputs,
                outputs);
    }
}
