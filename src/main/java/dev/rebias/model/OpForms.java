package dev.rebias.model;

import dev.rebias.op.Convolution;
import dev.rebias.op.Gemm;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.op.Window;
import dev.rebias.op.Window.AutoPad;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/** What the ops of two layers say, in whatever attributes: kind, strides, groups, padding. */
final class OpForms {
    private OpForms() {}

    /**
     * What two layers must have in common before anything else is compared: the kind of op, and the shape of the
     * weights, those of Gemm and MatMul as channels and inputs.
     */
    static String kind(Layer layer) {
        String own = kind(layer.op(), layer.weightShape());
        return layer.first()
                .map(f -> kind(f.op(), f.weightShape()) + " and " + own)
                .orElse(own);
    }

    private static String kind(LayerOp op, long[] shape) {
        if (op instanceof Gemm || op instanceof MatMul) {
            int channels = op.channels(shape);
            return "product of " + Shape.elements(shape) / Math.max(1, channels) + " inputs and " + channels
                    + " outputs";
        }
        // Of a transposed convolution they say how many channels there are, and so how long their weights.
        long groups = op instanceof TransposedConvolution t ? t.group() : 1;
        return op.type() + " " + Shape.text(shape) + (groups > 1 ? " in " + groups + " groups" : "");
    }

    /**
     * By what the two compute different things whatever the weights are, in words; empty where they compute the same.
     *
     * @param qPads zeros that are put around the quantised layer's data before it: all begins, then all ends
     * @param fPads the same of the float layer
     * @param size the spatial size of the data, 0 where it is not known
     */
    static Optional<String> difference(LayerOp q, LayerOp f, List<Long> qPads, List<Long> fPads, List<Long> size) {
        if (q instanceof Convolution a && f instanceof Convolution b) {
            return different("group", a.group(), b.group())
                    .or(() -> different(a.window(), b.window()))
                    .or(() -> samePadding(a.window(), b.window(), qPads, fPads, size)
                            ? Optional.empty()
                            : Optional.of("its padding is " + text(a.window(), qPads) + ", in the float model it is "
                                    + text(b.window(), fPads)));
        }
        if (q instanceof TransposedConvolution a && f instanceof TransposedConvolution b) {
            return different("group", a.group(), b.group())
                    .or(() -> different(a.window(), b.window()))
                    .or(() -> different("output_shape", a.outputShape(), b.outputShape()))
                    .or(() -> cut(a).equals(cut(b))
                            ? Optional.empty()
                            : Optional.of("its padding is " + text(a.window(), List.of()) + " with output_padding "
                                    + a.outputPadding() + ", in the float model it is "
                                    + text(b.window(), List.of()) + " with output_padding " + b.outputPadding()));
        }
        return different("transA", q instanceof Gemm a && a.transA(), f instanceof Gemm b && b.transA());
    }

    private static Optional<String> different(String attribute, Object q, Object f) {
        return q.equals(f)
                ? Optional.empty()
                : Optional.of("its " + attribute + " is " + q + ", in the float model it is " + f);
    }

    private static Optional<String> different(Window q, Window f) {
        return different("kernel_shape", q.kernel(), f.kernel())
                .or(() -> different("strides", q.strides(), f.strides()))
                .or(() -> different("dilations", q.dilations(), f.dilations()));
    }

    private static String text(Window window, List<Long> before) {
        String own = window.autoPad() == AutoPad.NOTSET
                ? window.pads().toString()
                : window.autoPad().toString();
        boolean none = before.stream().allMatch(p -> p == 0);
        return none ? own : own + " on data padded by " + before;
    }

    /** Whether every output of a convolution meets all its weights, none of them in padding. */
    static boolean padsNothing(LayerOp op, List<Long> before) {
        boolean none = before.stream().allMatch(p -> p == 0);
        if (op instanceof Convolution c) {
            return none
                    && pads(c.window())
                            .filter(p -> p.stream().allMatch(x -> x == 0))
                            .isPresent();
        }
        // A transposed convolution's outputs meet some of its weights each.
        return !(op instanceof TransposedConvolution t)
                || (t.window().isPointwise() && t.outputPadding().stream().allMatch(p -> p == 0));
    }

    private static boolean samePadding(Window q, Window f, List<Long> qPads, List<Long> fPads, List<Long> size) {
        Optional<List<Long>> a = pads(q).map(p -> sum(p, qPads));
        Optional<List<Long>> b = pads(f).map(p -> sum(p, fPads));
        if (a.isPresent() && b.isPresent()) {
            return a.equals(b);
        }
        if (a.isEmpty() && b.isEmpty()) {
            return q.autoPad() == f.autoPad() && qPads.equals(fPads);
        }
        return a.isPresent() ? couldBe(f, a.get(), fPads, size) : couldBe(q, b.get(), qPads, size);
    }

    private static List<Long> sum(List<Long> a, List<Long> b) {
        List<Long> out = new ArrayList<>();
        for (int i = 0; i < a.size(); i++) {
            out.add(a.get(i) + b.get(i));
        }
        return out;
    }

    /** The padding where it does not depend on the size of the data. */
    private static Optional<List<Long>> pads(Window window) {
        int n = window.kernel().size();
        return switch (window.autoPad()) {
            case NOTSET -> Optional.of(window.pads());
            case VALID -> Optional.of(Collections.nCopies(2 * n, 0L));
            case SAME_UPPER, SAME_LOWER ->
                window.strides().stream().allMatch(s -> s == 1)
                        ? Optional.of(padsFor(window, Collections.nCopies(n, 1L)))
                        : Optional.empty();
        };
    }

    private static List<Long> padsFor(Window window, List<Long> size) {
        List<Long> out = new ArrayList<>();
        for (int i = 0; i < size.size(); i++) {
            out.add(window.begin(i, size.get(i)));
        }
        for (int i = 0; i < size.size(); i++) {
            out.add(window.end(i, size.get(i)));
        }
        return out;
    }

    /** Whether auto_pad comes to that padding, for data of that size, or of some size where it is not known. */
    private static boolean couldBe(Window automatic, List<Long> pads, List<Long> before, List<Long> size) {
        int n = automatic.kernel().size();
        if (before.stream().anyMatch(p -> p != 0)) {
            return false;
        }
        for (int i = 0; i < n; i++) {
            boolean found = false;
            long known = size.get(i);
            // What counts is the rest of the size divided by the stride.
            long stride = automatic.strides().get(i);
            for (long in = known > 0 ? known : stride; in <= (known > 0 ? known : 2 * stride - 1); in++) {
                found |= automatic.begin(i, in) == pads.get(i) && automatic.end(i, in) == pads.get(n + i);
            }
            if (!found) {
                return false;
            }
        }
        return true;
    }

    /** What a transposed convolution cuts off its output: all begins, all ends, then what it adds to the ends. */
    private static List<Long> cut(TransposedConvolution op) {
        Window w = op.window();
        int n = w.kernel().size();
        if (!op.outputShape().isEmpty()) {
            // Which side an odd rest is cut off is all that auto_pad still says.
            return List.of(w.autoPad() == Window.AutoPad.SAME_UPPER ? 1L : 0L);
        }
        List<Long> begins = new ArrayList<>();
        List<Long> ends = new ArrayList<>();
        List<Long> added = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            long padding = op.outputPadding().get(i);
            long begin = op.begin(i, 1);
            long total =
                    switch (w.autoPad()) {
                        case NOTSET -> w.totalPad(i);
                        case VALID -> 0;
                        case SAME_UPPER, SAME_LOWER ->
                            w.extent(i) + padding - w.strides().get(i);
                    };
            // Adding to an end and cutting it off again is nothing.
            long both = Math.min(padding, Math.max(0, total - begin));
            begins.add(begin);
            ends.add(total - begin - both);
            added.add(padding - both);
        }
        List<Long> out = new ArrayList<>(begins);
        out.addAll(ends);
        out.addAll(added);
        return out;
    }

    /** An op in the words of its attributes. */
    static String text(LayerOp op, long[] weights) {
        if (op instanceof Convolution c) {
            return "Conv " + Shape.text(weights) + text(c.window(), c.group());
        }
        if (op instanceof TransposedConvolution t) {
            return "ConvTranspose " + Shape.text(weights) + text(t.window(), t.group());
        }
        return op.type() + " " + Shape.text(weights);
    }

    private static String text(Window w, long group) {
        return List.of(
                        "strides " + w.strides(),
                        "pads " + text(w, List.of()),
                        w.dilations().stream().allMatch(d -> d == 1) ? "" : "dilations " + w.dilations(),
                        group == 1 ? "" : "group " + group)
                .stream()
                .filter(s -> !Objects.equals(s, ""))
                .collect(Collectors.joining(", ", " (", ")"));
    }
}
