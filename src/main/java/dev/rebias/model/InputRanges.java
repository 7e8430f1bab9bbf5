package dev.rebias.model;

import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.HostTensor;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What values the quantisers hold that a model's input goes into. */
public final class InputRanges {
    /** Operations that hand values on as they are, from their first operand. */
    private static final Set<String> MOVES = Set.of(
            "Transpose",
            "Reshape",
            "Flatten",
            "Squeeze",
            "Unsqueeze",
            "Identity",
            "Slice",
            "DepthToSpace",
            "SpaceToDepth");

    private final Graph graph;
    private final Map<String, List<Node>> consumers;
    private final Set<String> seen = new HashSet<>();

    private InputRanges(Graph graph) {
        this.graph = graph;
        this.consumers = graph.consumers();
    }

    /** Values from the least to the most, both included, in steps of that size. */
    public record Range(double least, double most, double step) {
        private Range and(Range other) {
            return new Range(Math.max(least, other.least), Math.min(most, other.most), Math.max(step, other.step));
        }

        private Range or(Range other) {
            return new Range(Math.min(least, other.least), Math.max(most, other.most), Math.max(step, other.step));
        }
    }

    /**
     * The range that an input's quantisers hold, the widest where there are several.
     *
     * @return empty where the input also goes elsewhere, or its quantisers' scales are not one stored value each
     */
    public static Optional<Range> of(Graph graph, String input) {
        return new InputRanges(graph)
                .behind(input)
                .filter(r -> Double.isFinite(r.least()) && Double.isFinite(r.most()) && r.least() < r.most());
    }

    private Optional<Range> behind(String tensor) {
        if (!seen.add(tensor) || graph.outputs().contains(tensor)) {
            return Optional.empty();
        }
        Optional<Range> widest = Optional.empty();
        for (Node node : consumers.getOrDefault(tensor, List.of())) {
            String type = node.op().type();
            if (type.equals("Shape")) {
                continue;
            }
            Optional<Range> range = Optional.empty();
            if (node.inputs().indexOf(tensor) == 0) {
                if (type.equals("QuantizeLinear")) {
                    range = quantizer(node);
                } else if (type.equals("Clip")) {
                    range = behind(node.outputs().get(0))
                            .flatMap(r -> clip(node).map(r::and));
                } else if (MOVES.contains(type)) {
                    range = behind(node.outputs().get(0));
                }
            }
            if (range.isEmpty()) {
                return Optional.empty();
            }
            Range own = range.get();
            widest = Optional.of(widest.map(own::or).orElse(own));
        }
        return widest;
    }

    private Optional<Range> quantizer(Node node) {
        Optional<HostTensor> zero = constant(node, 2);
        if (node.inputs().size() > 2 && !node.inputs().get(2).isEmpty() && zero.isEmpty()) {
            return Optional.empty();
        }
        return constant(node, 1).map(scale -> {
            double step = scale.number(0);
            double offset = zero.map(z -> z.number(0)).orElse(0.0);
            double lowest = zero.map(z -> z.type().lowest()).orElse(0L);
            double highest = zero.map(z -> z.type().highest()).orElse(255L);
            return new Range((lowest - offset) * step, (highest - offset) * step, step);
        });
    }

    private Optional<Range> clip(Node node) {
        if (!(node.op() instanceof OnnxOp op)) {
            return Optional.empty();
        }
        boolean bounded = true;
        for (int i = 1; i < Math.min(3, node.inputs().size()); i++) {
            bounded &= node.inputs().get(i).isEmpty() || constant(node, i).isPresent();
        }
        if (!bounded) {
            return Optional.empty();
        }
        return Optional.of(new Range(
                constant(node, 1).map(c -> c.number(0)).orElse((double)
                        Attributes.real(op.node(), "min", Float.NEGATIVE_INFINITY)),
                constant(node, 2).map(c -> c.number(0)).orElse((double)
                        Attributes.real(op.node(), "max", Float.POSITIVE_INFINITY)),
                0));
    }

    /** An operand that is one stored value. */
    private Optional<HostTensor> constant(Node node, int operand) {
        return Optional.of(node.inputs())
                .filter(i -> i.size() > operand)
                .map(i -> graph.constants().get(i.get(operand)))
                .filter(c -> c.elements() == 1);
    }
}
