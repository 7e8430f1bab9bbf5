package dev.rebias.op;

import ai.onnx.proto.OnnxMl.NodeProto;
import dev.rebias.error.UnsupportedException;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * How a convolution's kernel moves over the spatial dimensions: ONNX's attributes kernel_shape, strides, dilations,
 * pads (all begins, then all ends) and auto_pad, with their defaults filled in. Every list has one entry per spatial
 * dimension, pads two.
 */
public record Window(List<Long> kernel, List<Long> strides, List<Long> dilations, List<Long> pads, AutoPad autoPad) {

    /** ONNX's auto_pad: NOTSET means that pads says it all. */
    public enum AutoPad {
        NOTSET,
        VALID,
        SAME_UPPER,
        SAME_LOWER
    }

    public Window {
        kernel = List.copyOf(kernel);
        strides = List.copyOf(strides);
        dilations = List.copyOf(dilations);
        pads = List.copyOf(pads);
        int n = kernel.size();
        require("a kernel", kernel, 1);
        require("strides", strides, 1);
        require("dilations", dilations, 1);
        require("pads", pads, 0);
        if (strides.size() != n || dilations.size() != n || pads.size() != 2 * n) {
            throw new UnsupportedException("a window over " + n + " spatial dimensions has " + strides.size()
                    + " strides, " + dilations.size() + " dilations and " + pads.size() + " pads");
        }
    }

    private static void require(String what, List<Long> values, long least) {
        if (values.stream().anyMatch(v -> v < least || v > AttributeRules.MOST)) {
            throw new UnsupportedException("a window has " + what + " of " + values + ", where " + least + " to "
                    + AttributeRules.MOST + " is allowed");
        }
    }

    /** Whether every output position depends on the input position of the same number alone. */
    public boolean isPointwise() {
        return kernel.stream().allMatch(k -> k == 1)
                && strides.stream().allMatch(s -> s == 1)
                && (autoPad != AutoPad.NOTSET || pads.stream().allMatch(p -> p == 0));
    }

    /** Reads the attributes of a Conv or ConvTranspose node whose weights have this shape. */
    static Window of(NodeProto node, long[] weightShape) {
        int n = weightShape.length - 2;
        if (n < 1) {
            throw new UnsupportedException("node '" + node.getName() + "' (" + node.getOpType()
                    + ") has weights of rank " + weightShape.length + "; a convolution's weights have rank 3 or more");
        }
        List<Long> kernel = Arrays.stream(weightShape).skip(2).boxed().toList();
        List<Long> ones = Collections.nCopies(n, 1L);
        List<Long> stated = Attributes.integers(node, "kernel_shape").orElse(kernel);
        if (!stated.equals(kernel)) {
            throw new UnsupportedException("its kernel_shape " + stated + " is not that of its weights, " + kernel);
        }
        String pad = Attributes.text(node, "auto_pad", "NOTSET");
        return new Window(
                kernel,
                Attributes.integers(node, "strides").orElse(ones),
                Attributes.integers(node, "dilations").orElse(ones),
                Attributes.integers(node, "pads").orElse(Collections.nCopies(2 * n, 0L)),
                autoPad(pad));
    }

    static AutoPad autoPad(String name) {
        return Arrays.stream(AutoPad.values())
                .filter(p -> p.name().equals(name.isEmpty() ? "NOTSET" : name))
                .findFirst()
                .orElseThrow(() -> new UnsupportedException("auto_pad '" + name + "' is none that ONNX knows"));
    }

    void addTo(NodeProto.Builder node) {
        node.addAttribute(Attributes.of("kernel_shape", kernel));
        node.addAttribute(Attributes.of("strides", strides));
        node.addAttribute(Attributes.of("dilations", dilations));
        if (autoPad == AutoPad.NOTSET) {
            node.addAttribute(Attributes.of("pads", pads));
        } else {
            node.addAttribute(Attributes.of("auto_pad", autoPad.name()));
        }
    }

    /** The extent of the dilated kernel along spatial dimension i. */
    public long extent(int i) {
        return (kernel.get(i) - 1) * dilations.get(i) + 1;
    }

    /**
     * The padding before data of that size along spatial dimension i, of a window that moves over it (Conv, pooling).
     */
    public long begin(int i, long in) {
        return switch (autoPad) {
            case NOTSET -> pads.get(i);
            case VALID -> 0;
            case SAME_UPPER -> same(i, in) / 2;
            case SAME_LOWER -> same(i, in) - same(i, in) / 2;
        };
    }

    /** The padding behind the data, as {@link #begin}. */
    public long end(int i, long in) {
        return switch (autoPad) {
            case NOTSET -> pads.get(kernel.size() + i);
            case VALID -> 0;
            case SAME_UPPER -> same(i, in) - same(i, in) / 2;
            case SAME_LOWER -> same(i, in) / 2;
        };
    }

    /** The padding that gives ceil(in / stride) outputs. */
    private long same(int i, long in) {
        long stride = strides.get(i);
        long outputs = (in + stride - 1) / stride;
        return Math.max(0, (outputs - 1) * stride + extent(i) - in);
    }

    /** Begin plus end padding along spatial dimension i. */
    public long totalPad(int i) {
        return pads.get(i) + pads.get(kernel.size() + i);
    }
}
