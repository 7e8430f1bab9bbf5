package dev.rebias.op;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The ranges of attributes of ONNX's own operations, as far as they hold whatever the inputs are. Libraries divide by
 * strides and multiply sizes by them, in 32 bits, before they look whether that makes sense: nothing outside these
 * ranges reaches one.
 */
public final class AttributeRules {
    /** No window, stride, dilation or pad is larger: sums of a few of them fit 32 bits. */
    static final long MOST = 1 << 24;

    private record Range(long least, long most) {}

    private static final Range SIZE = new Range(1, MOST);
    private static final Range PAD = new Range(0, MOST);

    /** Of a window: more than any network has, and little enough that what is padded is filled in no time. */
    private static final Range WINDOW_PAD = new Range(0, 1 << 20);

    private static final Range AXIS = new Range(-1024, 1024);

    private static final Map<String, Range> RANGES = Map.ofEntries(
            Map.entry("kernel_shape", SIZE),
            Map.entry("strides", SIZE),
            Map.entry("dilations", SIZE),
            Map.entry("output_padding", PAD),
            Map.entry("output_shape", SIZE),
            Map.entry("group", SIZE),
            Map.entry("blocksize", SIZE),
            Map.entry("num_groups", SIZE),
            Map.entry("hidden_size", SIZE),
            Map.entry("num_outputs", SIZE),
            Map.entry("block_size", PAD),
            Map.entry("size", SIZE),
            Map.entry("batch_axis", AXIS),
            Map.entry("time_axis", AXIS),
            Map.entry("batch_dims", AXIS),
            Map.entry("scan_input_axes", AXIS),
            Map.entry("scan_output_axes", AXIS),
            Map.entry("axis", AXIS),
            Map.entry("axes", AXIS),
            Map.entry("perm", AXIS));

    /** Operations whose pads are those of a window, which cannot be negative. */
    private static final Set<String> WINDOWS = Set.of(
            "AveragePool",
            "Conv",
            "ConvInteger",
            "ConvTranspose",
            "Col2Im",
            "DeformConv",
            "LpPool",
            "MaxPool",
            "MaxUnpool",
            "QLinearConv");

    /**
     * Operations of any number of inputs, none of which may be left out: ONNX Runtime 1.29 reads each without looking
     * whether it is there.
     */
    private static final Set<String> VARIADIC =
            Set.of("Concat", "Einsum", "Max", "Mean", "Min", "SequenceConstruct", "Sum");

    private AttributeRules() {}

    /**
     * Checks a node, and those in its subgraphs.
     *
     * @throws UnsupportedException if an attribute is there twice, or outside its range, or an input is left out that
     *     may not be
     */
    public static void check(NodeProto node) {
        Set<String> seen = new HashSet<>();
        boolean standard = node.getDomain().isEmpty() || node.getDomain().equals("ai.onnx");
        if (standard
                && VARIADIC.contains(node.getOpType())
                && node.getInputList().contains("")) {
            throw wrong(node, "leaves out an input, and needs all of them");
        }
        for (AttributeProto attribute : node.getAttributeList()) {
            if (!seen.add(attribute.getName())) {
                throw wrong(node, "has its attribute '" + attribute.getName() + "' twice");
            }
            if (standard) {
                check(node, attribute);
            }
            attribute.getG().getNodeList().forEach(AttributeRules::check);
            attribute.getGraphsList().forEach(g -> g.getNodeList().forEach(AttributeRules::check));
        }
    }

    private static void check(NodeProto node, AttributeProto attribute) {
        String name = attribute.getName();
        if (name.equals("auto_pad")) {
            try {
                Window.autoPad(attribute.getS().toStringUtf8());
            } catch (UnsupportedException e) {
                throw wrong(node, "cannot be: " + e.getMessage());
            }
        }
        Range range = name.equals("pads") && WINDOWS.contains(node.getOpType()) ? WINDOW_PAD : RANGES.get(name);
        if (range == null) {
            return;
        }
        List<Long> values = attribute.getType() == AttributeProto.AttributeType.INT
                ? List.of(attribute.getI())
                : attribute.getIntsList();
        for (long value : values) {
            if (value < range.least() || value > range.most()) {
                throw wrong(
                        node,
                        "has " + name + " " + (values.size() == 1 ? value : values) + ", where " + range.least()
                                + " to " + range.most() + " is allowed");
            }
        }
        if (name.equals("perm") && !isPermutation(values)) {
            throw wrong(node, "has perm " + values + ", which is not every axis once");
        }
    }

    private static boolean isPermutation(List<Long> values) {
        return Set.copyOf(values).size() == values.size() && values.stream().allMatch(v -> v >= 0 && v < values.size());
    }

    private static UnsupportedException wrong(NodeProto node, String what) {
        String name = node.getName().isEmpty() && node.getOutputCount() > 0 ? node.getOutput(0) : node.getName();
        return new UnsupportedException("node '" + name + "' (" + node.getOpType() + ") " + what);
    }
}
