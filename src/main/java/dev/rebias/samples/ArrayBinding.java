package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Which array fills which input of a model, and in what shape. Axis 0 of an array counts the samples; but an array of
 * exactly an input's fixed shape is that input's value for every sample (an image size, a scale factor), as long as
 * another input counts them.
 */
final class ArrayBinding {
    private static final Set<ElementType> NUMBERS = Set.of(
            ElementType.UINT8,
            ElementType.INT8,
            ElementType.UINT16,
            ElementType.INT16,
            ElementType.INT32,
            ElementType.INT64,
            ElementType.FLOAT16,
            ElementType.FLOAT,
            ElementType.DOUBLE);

    private final String where;
    private final Map<String, ArraySource> arrays;
    private final List<InputSpec> inputs;
    private final Normalization normalization;

    private ArrayBinding(
            String where, Map<String, ArraySource> arrays, List<InputSpec> inputs, Normalization normalization) {
        this.where = where;
        this.arrays = arrays;
        this.inputs = inputs;
        this.normalization = normalization;
    }

    /** Binds arrays. Parameters and errors as {@link Samples#bind} has them. */
    static BoundSamples bind(
            String where,
            Map<String, ArraySource> arrays,
            List<InputSpec> inputs,
            Normalization normalization,
            int limit) {
        return new ArrayBinding(where, arrays, inputs, normalization).bind(limit);
    }

    private BoundSamples bind(int limit) {
        List<ArraySource> sources = inputs.stream().map(this::find).toList();
        boolean[] constant = sameForAll(sources);
        List<BoundSamples.Filled> filled = new ArrayList<>();
        long count = -1;
        String first = "";
        for (int i = 0; i < sources.size(); i++) {
            InputSpec input = inputs.get(i);
            ArraySource source = sources.get(i);
            if (constant[i]) {
                checkType(source, input);
                filled.add(new BoundSamples.Filled(() -> new SameForAllReader(source.value(input)), false)
                        .as(input.quantization()));
                continue;
            }
            long[] shape = check(source, input);
            long n = source.shape()[0];
            // What is not read need not be held.
            shape[0] = Math.min(n, limit);
            if (count >= 0 && n != count) {
                throw new UnsupportedException(source.where() + " has " + n + " samples, but " + first + " has " + count
                        + ": every input needs as many"
                        + (input.isFixed()
                                ? ", or, where it is the same for all samples, an array of exactly the shape "
                                        + Shape.text(input.shape())
                                : ""));
            }
            count = n;
            first = source.where();
            Supplier<SampleReader> reader = () -> source.maker().make(input, shape, normalization);
            filled.add(new BoundSamples.Filled(reader, true).as(input.quantization()));
        }
        if (count < 1) {
            throw new UnsupportedException(where + " holds no samples: give at least one");
        }
        return new BoundSamples(filled, List.of((int) Math.min(count, limit)));
    }

    /**
     * Whether an array is its input's value for every sample. One input at least counts samples: that of most
     * dimensions, where all arrays are of their inputs' shapes.
     */
    private boolean[] sameForAll(List<ArraySource> sources) {
        boolean[] constant = new boolean[sources.size()];
        int counting = 0;
        boolean all = true;
        for (int i = 0; i < constant.length; i++) {
            InputSpec input = inputs.get(i);
            constant[i] = input.isFixed()
                    && Arrays.equals(input.shape(), sources.get(i).shape());
            all &= constant[i];
            if (input.shape().length > inputs.get(counting).shape().length) {
                counting = i;
            }
        }
        if (all) {
            constant[counting] = false;
        }
        return constant;
    }

    private ArraySource find(InputSpec input) {
        if (arrays.containsKey(input.name())) {
            return arrays.get(input.name());
        }
        if (arrays.size() == 1 && inputs.size() == 1) {
            return arrays.values().iterator().next();
        }
        String held = arrays.containsKey("") ? "one array" : "the arrays " + List.copyOf(arrays.keySet());
        throw new UnsupportedException(where + " holds " + held + ", but the model has the inputs "
                + inputs.stream().map(InputSpec::name).toList() + ": '" + input.name()
                + "' is missing; name the arrays as the inputs");
    }

    private static void checkType(ArraySource source, InputSpec input) {
        boolean convertible = input.type() == ElementType.FLOAT && source.converts() && NUMBERS.contains(source.type());
        if (!convertible && source.type() != input.type()) {
            throw new UnsupportedException(source.where() + " holds " + source.type() + ", but the model's input '"
                    + input.name() + "' wants " + input.type()
                    + (input.type() == ElementType.FLOAT ? " (from integers or floats of any size)" : ""));
        }
    }

    /** Checks that an array fits an input, and gives the shape that its samples take. */
    private long[] check(ArraySource source, InputSpec input) {
        long[] shape = fitted(source, input).orElseThrow(() -> notFitting(source, input));
        if (Shape.elements(shape, 1, shape.length) == 0) {
            throw new UnsupportedException(
                    source.where() + " has shape " + Shape.text(shape) + ": its samples are empty");
        }
        checkType(source, input);
        if (input.type() == ElementType.FLOAT
                && source.converts()
                && input.channelAxis(shape, normalization).isEmpty()) {
            throw new UnsupportedException("mean and std have another number of values than " + source.where() + " "
                    + Shape.text(shape) + " has channels: give one value, or as many as one of its axes has entries");
        }
        return shape;
    }

    private static UnsupportedException notFitting(ArraySource source, InputSpec input) {
        long[] shape = source.shape();
        long[] wanted = input.shape();
        String cure = "";
        if (wanted.length == 0) {
            cure = ", a value without an axis of samples";
        } else if (shape.length == 4 && wanted.length == 4) {
            boolean last = fits(new long[] {shape[0], shape[3], shape[1], shape[2]}, wanted);
            boolean first = fits(new long[] {shape[0], shape[2], shape[3], shape[1]}, wanted);
            cure = last
                    ? ": its channels come last, save it as numpy.transpose(x, (0, 3, 1, 2))"
                    : first ? ": its channels come first, save it as numpy.transpose(x, (0, 2, 3, 1))" : "";
        }
        return new UnsupportedException(source.where() + " has shape " + Shape.text(shape) + ", but the model's input '"
                + input.name() + "' wants " + input.shapeText() + cure);
    }

    private static boolean fits(long[] shape, long[] wanted) {
        boolean fits = shape.length == wanted.length && shape.length > 0;
        for (int i = 1; fits && i < shape.length; i++) {
            fits = wanted[i] < 0 || wanted[i] == shape[i];
        }
        return fits;
    }

    /**
     * The shape in which an array fills an input: its own, or the input's where that differs only in axes of length 1,
     * which change nothing about the order of the elements (a grey image as [28, 28], [1, 28, 28] or [28, 28, 1]).
     */
    private static Optional<long[]> fitted(ArraySource source, InputSpec input) {
        long[] shape = source.shape();
        long[] wanted = input.shape();
        if (fits(shape, wanted)) {
            return Optional.of(shape);
        }
        boolean same = source.converts()
                && shape.length > 0
                && wanted.length > 0
                && Arrays.equals(longAxes(shape), longAxes(wanted));
        if (!same) {
            return Optional.empty();
        }
        wanted[0] = shape[0];
        return Optional.of(wanted);
    }

    private static long[] longAxes(long[] shape) {
        return Arrays.stream(shape).skip(1).filter(d -> d != 1).toArray();
    }
}
