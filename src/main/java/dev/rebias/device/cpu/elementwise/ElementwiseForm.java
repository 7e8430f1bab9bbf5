package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * How the inputs of an elementwise program line up with memory, for inputs of certain shapes: which are read element by
 * element, and which repeat.
 *
 * @param sample the elements of one entry of axis 0
 * @param tile how many elements are worked on together
 * @param kinds of the inputs
 * @param periods for each repeated input the length of its run
 * @param varying for each instruction whether its result is not the same for every tile of a sample
 */
public record ElementwiseForm(
        long[] shape,
        Layout layout,
        int samples,
        int sample,
        int tile,
        List<Kind> kinds,
        int[] periods,
        boolean[] varying) {
    private static final int TILE = 1024;

    /** How an input lies, seen from the program's shape and layout. */
    public enum Kind {
        /** Element by element. */
        WHOLE,
        /** One value, or a run of values that repeats. */
        REPEATED,
        /** The same for every entry of axis 0 on its own. */
        REPEATED_PER_SAMPLE
    }

    /** How often values that repeat change. */
    public int units() {
        return differsBySample() ? samples : 1;
    }

    /** The elements over which they repeat. */
    long unit() {
        return differsBySample() ? sample : (long) samples * sample;
    }

    private boolean differsBySample() {
        return kinds.contains(Kind.REPEATED_PER_SAMPLE);
    }

    /** Whether a value is an input that is read element by element. */
    boolean isWhole(Value v) {
        return v.source() == Value.Source.INPUT && kinds.get(v.index()) == Kind.WHOLE;
    }

    /** Whether a value is not the same for every tile of a sample. */
    boolean varies(Value v) {
        return varies(v, kinds, varying);
    }

    private static boolean varies(Value v, List<Kind> kinds, boolean[] varying) {
        return switch (v.source()) {
            case INPUT -> kinds.get(v.index()) == Kind.WHOLE;
            case CONSTANT -> false;
            case MEMBER -> varying[v.index()];
        };
    }

    /**
     * The form for inputs of these shapes.
     *
     * @param constant which of the program's inputs are constants
     * @param last whether dimension 1 runs fastest in one of them, so that this is the layout to be tried first
     * @return empty if outputs are of different shapes, or broadcasting does not line up with memory
     */
    public static Optional<ElementwiseForm> of(
            ElementwiseProgram program, List<long[]> shapes, IntPredicate constant, boolean last) {
        Optional<long[]> whole = program.shape(shapes);
        if (whole.isEmpty()) {
            return Optional.empty();
        }
        long[] shape = whole.get();
        List<Layout> layouts = shape.length < 3
                ? List.of(Layout.PLAIN)
                : last ? List.of(Layout.CHANNELS_LAST, Layout.PLAIN) : List.of(Layout.PLAIN, Layout.CHANNELS_LAST);
        return layouts.stream()
                .map(l -> of(program, l, shape, shapes, constant))
                .flatMap(Optional::stream)
                .findFirst();
    }

    private static Optional<ElementwiseForm> of(
            ElementwiseProgram program, Layout layout, long[] shape, List<long[]> shapes, IntPredicate constant) {
        List<Kind> kinds = new ArrayList<>();
        int[] periods = new int[shapes.size()];
        int run = 1;
        for (int i = 0; i < shapes.size(); i++) {
            long[] aligned = program.inputs().get(i).aligned(shapes.get(i), shape);
            // Of one sample, too, what is the same for all samples is no sample's own.
            boolean shared =
                    aligned.length > 0 && aligned[0] == 1 && (constant.test(i) || shapes.get(i).length < shape.length);
            Optional<Kind> kind = kind(layout, aligned, shape, shared);
            if (kind.isEmpty()) {
                return Optional.empty();
            }
            kinds.add(kind.get());
            if (kind.get() != Kind.WHOLE) {
                long samples = kind.get() == Kind.REPEATED ? 1 : shape[0];
                periods[i] = Math.toIntExact(Shape.elements(aligned) / Math.max(1, samples));
                int longer = Math.max(run, periods[i]);
                if (longer % Math.max(1, Math.min(run, periods[i])) != 0) {
                    return Optional.empty();
                }
                run = longer;
            }
        }
        int samples = shape.length == 0 ? 1 : Math.toIntExact(shape[0]);
        int sample = samples == 0 ? 0 : Math.toIntExact(Shape.elements(shape) / samples);
        int tile = run * Math.max(1, TILE / run);
        return Optional.of(new ElementwiseForm(
                shape, layout, samples, sample, tile, kinds, periods, varying(program.instructions(), kinds)));
    }

    private static boolean[] varying(List<Instruction> instructions, List<Kind> kinds) {
        boolean[] varying = new boolean[instructions.size()];
        for (int m = 0; m < varying.length; m++) {
            varying[m] = instructions.get(m).arguments().stream().anyMatch(v -> varies(v, kinds, varying));
        }
        return varying;
    }

    private static Optional<Kind> kind(Layout layout, long[] aligned, long[] shape, boolean shared) {
        if (Arrays.equals(aligned, shape) && !shared) {
            return Optional.of(shape.length == 0 ? Kind.REPEATED : Kind.WHOLE);
        }
        if (Shape.elements(aligned) == 1) {
            return Optional.of(Kind.REPEATED);
        }
        // Seen without axis 0: a run at the end of memory's order, everything before it broadcast.
        boolean perSample = aligned[0] != 1;
        boolean fits;
        if (layout == Layout.CHANNELS_LAST) {
            fits = Arrays.stream(aligned, 2, aligned.length).allMatch(d -> d == 1)
                    && (aligned[1] == shape[1] || aligned[1] == 1);
        } else {
            int first = 1;
            while (first < aligned.length && aligned[first] == 1) {
                first++;
            }
            fits = Arrays.equals(aligned, first, aligned.length, shape, first, shape.length);
        }
        return fits ? Optional.of(perSample ? Kind.REPEATED_PER_SAMPLE : Kind.REPEATED) : Optional.empty();
    }
}
