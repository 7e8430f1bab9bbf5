package dev.rebias.samples;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Calibration samples: arrays by name (a NumPy archive, or tensors in memory), one array without a name (.npy), or a folder of images. Axis 0 of
 * every array counts the samples.
 */
public final class Samples implements AutoCloseable {
    private static final Set<ElementType> CONVERTIBLE =
            Set.of(ElementType.UINT8, ElementType.FLOAT, ElementType.DOUBLE);

    /** An array as far as binding needs to know it. */
    private record Source(String where, ElementType type, long[] shape, ReaderMaker maker) {
        @Override
        public long[] shape() {
            return shape.clone();
        }
    }

    @FunctionalInterface
    private interface ReaderMaker {
        /** A reader for an input, the samples being given this shape. */
        SampleReader make(InputSpec input, long[] shape);
    }

    private final String where;
    private final Map<String, Source> arrays;
    private final Optional<Path> images;
    private final Normalization normalization;
    private final Optional<Npz> archive;
    private final int limit;

    private Samples(
            String where,
            Map<String, Source> arrays,
            Optional<Path> images,
            Normalization normalization,
            Optional<Npz> archive,
            int limit) {
        this.where = where;
        this.arrays = arrays;
        this.images = images;
        this.normalization = normalization;
        this.archive = archive;
        this.limit = limit;
    }

    /**
     * Opens samples: an .npz archive, an .npy array, or a folder of images, told apart by what they are, not by their names.
     *
     * @throws UsageException if there is nothing at that path
     * @throws UnsupportedException if it is none of these, or damaged
     */
    public static Samples open(Path path, Normalization normalization) {
        if (!InputFile.exists(path)) {
            throw new UsageException("samples '" + path + "' do not exist: check the path");
        }
        String where = "'" + path + "'";
        if (Files.isDirectory(path)) {
            return new Samples(where, Map.of(), Optional.of(path), normalization, Optional.empty(), Integer.MAX_VALUE);
        }
        byte[] start;
        long size;
        try (InputStream in = Files.newInputStream(path)) {
            start = in.readNBytes(8);
            size = Files.size(path);
        } catch (IOException e) {
            throw new RebiasException("samples '" + path + "' cannot be read: " + Failure.reason(e), e);
        }
        if (NpyHeader.startsWithMagic(start)) {
            StoredArray array = StoredArray.open(where, size, () -> Files.newInputStream(path));
            return new Samples(
                    where,
                    Map.of("", source(array, normalization)),
                    Optional.empty(),
                    normalization,
                    Optional.empty(),
                    Integer.MAX_VALUE);
        }
        if (start.length >= 2 && start[0] == 'P' && start[1] == 'K') {
            Npz npz = Npz.open(path);
            try {
                Map<String, Source> arrays = new LinkedHashMap<>();
                npz.arrays().forEach((name, array) -> arrays.put(name, source(array, normalization)));
                return new Samples(where, arrays, Optional.empty(), normalization, Optional.of(npz), Integer.MAX_VALUE);
            } catch (RuntimeException e) {
                npz.close();
                throw e;
            }
        }
        throw new UnsupportedException("samples '" + path
                + "' are neither a NumPy archive (.npz), nor an array (.npy), nor a folder of images");
    }

    /**
     * The arrays of an archive as one, in the archive's order, as cnn2snn's command line takes them; other samples as they are. They share this object's files: close
     * this one.
     *
     * @throws UnsupportedException if the arrays differ in type, or in shape beyond their numbers of samples
     */
    public Samples joined() {
        if (arrays.size() < 2) {
            return this;
        }
        List<Source> parts = List.copyOf(arrays.values());
        Source first = parts.get(0);
        long count = 0;
        for (Source part : parts) {
            long[] expected = first.shape();
            boolean fits = part.type() == first.type() && part.shape().length == expected.length && expected.length > 0;
            if (fits) {
                expected[0] = part.shape()[0];
            }
            if (!fits || !Arrays.equals(part.shape(), expected)) {
                throw new UnsupportedException(part.where() + " is " + part.type() + " " + Shape.text(part.shape())
                        + ", but " + first.where() + " is " + first.type() + " " + Shape.text(first.shape())
                        + ": they cannot be joined");
            }
            count += part.shape()[0];
        }
        long[] shape = first.shape();
        shape[0] = count;
        Source all = new Source(where, first.type(), shape, (input, bound) -> joined(parts, input, bound));
        return new Samples(where, Map.of("", all), images, normalization, archive, limit);
    }

    /** The same without the array of that name: what remains may be the only one, whose name then does not matter. They share this object's files: close this one. */
    public Samples without(String name) {
        Map<String, Source> left = new LinkedHashMap<>(arrays);
        left.remove(name);
        return new Samples(where, left, images, normalization, archive, limit);
    }

    private static SampleReader joined(List<Source> parts, InputSpec input, long[] shape) {
        List<SampleReader> readers = new ArrayList<>();
        try {
            parts.forEach(p -> readers.add(p.maker().make(input, shape)));
        } catch (RuntimeException e) {
            readers.forEach(SampleReader::close);
            throw e;
        }
        return new JoinedReader(parts.stream().map(p -> p.shape()[0]).toList(), readers);
    }

    /** Takes arrays by input name, in memory; their values are used as they are. */
    public static Samples of(Map<String, HostTensor> tensors) {
        Map<String, Source> arrays = new LinkedHashMap<>();
        tensors.forEach((name, t) -> arrays.put(
                name,
                new Source("array '" + name + "'", t.type(), t.shape(), (input, shape) -> new MemoryReader(name, t))));
        return new Samples(
                "samples in memory", arrays, Optional.empty(), Normalization.NONE, Optional.empty(), Integer.MAX_VALUE);
    }

    private static Source source(StoredArray array, Normalization normalization) {
        return new Source(
                array.where(),
                array.type(),
                array.shape(),
                (input, shape) -> new ArrayReader(array, input, shape, normalization));
    }

    /**
     * The first n samples only. They share this object's files: close this one.
     *
     * @throws UsageException if n is less than 1
     */
    public Samples limit(int n) {
        if (n < 1) {
            throw new UsageException("a limit of " + n + " samples is not possible: it must be 1 or more");
        }
        return new Samples(where, arrays, images, normalization, archive, Math.min(limit, n));
    }

    /**
     * Checks the samples against a model's inputs; reads headers only.
     *
     * @throws UnsupportedException if names, ranks, sizes or types do not fit, the arrays have different numbers of samples, or none
     */
    public BoundSamples bind(List<InputSpec> inputs) {
        if (images.isPresent()) {
            return bindImages(images.get(), inputs);
        }
        List<Supplier<SampleReader>> readers = new ArrayList<>();
        long count = -1;
        String first = "";
        for (InputSpec input : inputs) {
            Source source = find(input, inputs);
            long[] shape = check(source, input);
            long n = source.shape()[0];
            // What is not read need not be held.
            shape[0] = Math.min(n, limit);
            if (count >= 0 && n != count) {
                throw new UnsupportedException(source.where() + " has " + n + " samples, but " + first + " has " + count
                        + ": every input needs as many");
            }
            count = n;
            first = source.where();
            readers.add(() -> source.maker().make(input, shape));
        }
        if (count < 1) {
            throw new UnsupportedException(where + " holds no samples: give at least one");
        }
        return new BoundSamples(readers, (int) Math.min(count, limit));
    }

    private BoundSamples bindImages(Path folder, List<InputSpec> inputs) {
        List<Path> files = ImageReader.files(folder);
        if (files.isEmpty()) {
            throw new UnsupportedException("folder '" + folder + "' holds no images (png, jpg, bmp, gif)");
        }
        if (inputs.size() != 1) {
            throw new UnsupportedException("a folder of images fills one input, the model has " + inputs.size()
                    + ": save the samples as an .npz");
        }
        ImageReader.check(folder, inputs.get(0), normalization);
        return new BoundSamples(
                List.of(() -> new ImageReader(files, inputs.get(0), normalization)), Math.min(files.size(), limit));
    }

    private Source find(InputSpec input, List<InputSpec> inputs) {
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

    /** Checks that an array fits an input, and gives the shape that its samples take. */
    private long[] check(Source source, InputSpec input) {
        long[] shape = fitted(source, input)
                .orElseThrow(() -> new UnsupportedException(source.where() + " has shape "
                        + Shape.text(source.shape()) + ", but the model's input '" + input.name() + "' wants "
                        + input.shapeText()));
        if (Shape.elements(shape, 1, shape.length) == 0) {
            throw new UnsupportedException(
                    source.where() + " has shape " + Shape.text(shape) + ": its samples are empty");
        }
        boolean convertible =
                input.type() == ElementType.FLOAT && archiveOrFile() && CONVERTIBLE.contains(source.type());
        if (!convertible && source.type() != input.type()) {
            throw new UnsupportedException(source.where() + " holds " + source.type() + ", but the model's input '"
                    + input.name() + "' wants " + input.type()
                    + (input.type() == ElementType.FLOAT ? " (from uint8, float32 or float64)" : ""));
        }
        if (input.type() == ElementType.FLOAT
                && normalization.isPerChannel()
                && (shape.length < 2 || !normalization.fits(shape[input.channelAxis(shape.length)]))) {
            throw new UnsupportedException("mean and std have another number of values than " + source.where() + " "
                    + Shape.text(shape) + " has channels (axis " + input.channelAxis(shape.length) + ")");
        }
        return shape;
    }

    /**
     * The shape in which an array fills an input: its own, or the input's where that differs only in axes of length 1, which change nothing about the order of the
     * elements (a grey image as [28, 28], [1, 28, 28] or [28, 28, 1]).
     */
    private Optional<long[]> fitted(Source source, InputSpec input) {
        long[] shape = source.shape();
        long[] wanted = input.shape();
        boolean fits = shape.length == wanted.length && shape.length > 0;
        for (int i = 1; fits && i < shape.length; i++) {
            fits = wanted[i] < 0 || wanted[i] == shape[i];
        }
        if (fits) {
            return Optional.of(shape);
        }
        boolean same = archiveOrFile()
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

    /** Arrays from files are converted; tensors in memory are taken as they are. */
    private boolean archiveOrFile() {
        return archive.isPresent() || arrays.containsKey("");
    }

    @Override
    public void close() {
        archive.ifPresent(Npz::close);
    }
}
