package dev.rebias.samples;

import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
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

/**
 * Calibration samples: arrays by name (a NumPy archive, or tensors in memory), one array without a name (.npy), or a
 * folder of images. Axis 0 of every array counts the samples.
 */
public final class Samples implements AutoCloseable {
    private final String where;
    private final Map<String, ArraySource> arrays;
    private final Optional<ImageFolder> images;
    private final Normalization normalization;
    private final Optional<Npz> archive;
    private final Limit limit;

    private Samples(
            String where,
            Map<String, ArraySource> arrays,
            Optional<ImageFolder> images,
            Normalization normalization,
            Optional<Npz> archive,
            Limit limit) {
        this.where = where;
        this.arrays = arrays;
        this.images = images;
        this.normalization = normalization;
        this.archive = archive;
        this.limit = limit;
    }

    /**
     * Opens samples: an .npz archive, an .npy array, or a folder of images, told apart by what they are, not by their
     * names.
     *
     * @throws UsageException if there is nothing at that path
     * @throws UnsupportedException if it is none of these, or damaged
     */
    public static Samples open(Path path, Normalization normalization) {
        return open(path, normalization, ImageOptions.AS_THEY_ARE);
    }

    /**
     * Checks that there is something at a path.
     *
     * @throws UsageException if there is nothing
     */
    public static void requireExists(Path path) {
        if (!InputFile.exists(path)) {
            throw new UsageException("samples '" + path + "' do not exist: check the path");
        }
    }

    /**
     * The same, a folder's images being treated so before their values are normalised.
     *
     * @throws UsageException also if images are to be resized or cropped, or their channels swapped, but the samples
     *     are arrays
     */
    public static Samples open(Path path, Normalization normalization, ImageOptions imageOptions) {
        requireExists(path);
        String where = "'" + path + "'";
        if (Files.isDirectory(path)) {
            return new Samples(
                    where,
                    Map.of(),
                    Optional.of(new ImageFolder(path, imageOptions, normalization)),
                    normalization,
                    Optional.empty(),
                    Limit.NONE);
        }
        if (!imageOptions.equals(ImageOptions.AS_THEY_ARE)) {
            throw new UsageException("samples '" + path
                    + "' are not a folder of images: resizing, cropping and the order of channels are for "
                    + "these; arrays are taken as they are");
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
                    where, Map.of("", source(array)), Optional.empty(), normalization, Optional.empty(), Limit.NONE);
        }
        if (start.length >= 2 && start[0] == 'P' && start[1] == 'K') {
            Npz npz = Npz.open(path);
            try {
                Map<String, ArraySource> arrays = new LinkedHashMap<>();
                npz.arrays().forEach((name, array) -> arrays.put(name, source(array)));
                return new Samples(where, arrays, Optional.empty(), normalization, Optional.of(npz), Limit.NONE);
            } catch (RuntimeException | Error e) {
                npz.close();
                throw e;
            }
        }
        throw new UnsupportedException("samples '" + path
                + "' are neither a NumPy archive (.npz), nor an array (.npy), nor a folder of images");
    }

    /**
     * The arrays of an archive as one, in the archive's order, as cnn2snn's command line takes them; other samples as
     * they are. They share this object's files: close this one.
     *
     * @throws UnsupportedException if the arrays differ in type, or in shape beyond their numbers of samples
     */
    public Samples joined() {
        if (arrays.size() < 2) {
            return this;
        }
        List<ArraySource> parts = List.copyOf(arrays.values());
        ArraySource first = parts.get(0);
        long count = 0;
        for (ArraySource part : parts) {
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
        ArraySource all = new ArraySource(
                where,
                first.type(),
                shape,
                true,
                (input, bound, normalisation) -> joined(parts, input, bound, normalisation));
        return new Samples(where, Map.of("", all), images, normalization, archive, limit);
    }

    /** Whether there is an array of that name. */
    public boolean has(String name) {
        return arrays.containsKey(name);
    }

    /**
     * An array as it is stored, whatever a limit says.
     *
     * @throws UnsupportedException if these samples are no archive that has it
     */
    public HostTensor array(String name) {
        Npz npz = archive.orElseThrow(
                () -> new UnsupportedException(where + " is no .npz archive, so it has no array '" + name + "'"));
        return npz.array(name);
    }

    /**
     * The same without the array of that name: what remains may be the only one, whose name then does not matter. They
     * share this object's files: close this one.
     */
    public Samples without(String name) {
        Map<String, ArraySource> left = new LinkedHashMap<>(arrays);
        left.remove(name);
        return new Samples(where, left, images, normalization, archive, limit);
    }

    static SampleReader joined(List<ArraySource> parts, InputSpec input, long[] shape, Normalization normalization) {
        List<SampleReader> readers = new ArrayList<>();
        try {
            parts.forEach(p -> readers.add(p.maker().make(input, shape, normalization)));
        } catch (RuntimeException | Error e) {
            readers.forEach(SampleReader::close);
            throw e;
        }
        return new JoinedReader(parts.stream().map(p -> p.shape()[0]).toList(), readers);
    }

    /** Takes arrays by input name, in memory; their values are used as they are. */
    public static Samples of(Map<String, HostTensor> tensors) {
        Map<String, ArraySource> arrays = new LinkedHashMap<>();
        tensors.forEach((name, t) -> arrays.put(
                name,
                new ArraySource(
                        "array '" + name + "'",
                        t.type(),
                        t.shape(),
                        false,
                        (input, shape, normalization) -> new MemoryReader(name, whole(t, shape)))));
        return new Samples(
                "samples in memory", arrays, Optional.empty(), Normalization.NONE, Optional.empty(), Limit.NONE);
    }

    /** The tensor, as it is or as a single sample. */
    private static HostTensor whole(HostTensor tensor, long[] shape) {
        return shape.length == tensor.rank() ? tensor : tensor.reshape(shape);
    }

    private static ArraySource source(StoredArray array) {
        return new ArraySource(
                array.where(),
                array.type(),
                array.shape(),
                true,
                (input, shape, normalization) -> new ArrayReader(array, input, shape, normalization));
    }

    /**
     * How many of the samples are used.
     *
     * @param first at most so many, from the first on
     * @param spread of these at most so many, spread evenly over them
     * @param part which part of these
     */
    private record Limit(int first, int spread, Part part) {
        static final Limit NONE = new Limit(Integer.MAX_VALUE, Integer.MAX_VALUE, new Part(0, 1, 1));
    }

    /** One of several parts, which are made of whole batches. */
    private record Part(int number, int parts, int batch) {}

    /**
     * The first n samples only; of a part, the whole set is limited, and then divided. They share this object's files:
     * close this one.
     *
     * @throws UsageException if n is less than 1
     */
    public Samples limit(int n) {
        return limited(new Limit(Math.min(limit.first(), possible(n)), limit.spread(), limit.part()));
    }

    /**
     * At most n of the samples, spread evenly over all of them: sorted sets hold one class first. Of a part, the whole
     * set is limited, and then divided. They share this object's files: close this one.
     *
     * @throws UsageException if n is less than 1
     */
    public Samples spread(int n) {
        return limited(new Limit(limit.first(), Math.min(limit.spread(), possible(n)), limit.part()));
    }

    /**
     * One of several parts of the samples that are used, of about the same size; all parts one after the other are the
     * whole. They share this object's files: close this one.
     *
     * @param number the part's, from 0
     * @param parts how many there are
     * @param batch the batch size that the model fixes, or 1: parts are made of whole batches
     * @throws UsageException if there is no such part, or these samples are a part already
     */
    public Samples part(int number, int parts, int batch) {
        if (number < 0 || number >= parts || batch < 1) {
            throw new UsageException(
                    "there is no part " + number + " of " + parts + " in batches of " + batch + ": they count from 0");
        }
        if (limit.part().parts() > 1) {
            throw new UsageException("these samples are a part already: divide the whole set");
        }
        return limited(new Limit(limit.first(), limit.spread(), new Part(number, parts, batch)));
    }

    private static int possible(int n) {
        if (n < 1) {
            throw new UsageException("a limit of " + n + " samples is not possible: it must be 1 or more");
        }
        return n;
    }

    private Samples limited(Limit changed) {
        return new Samples(where, arrays, images, normalization, archive, changed);
    }

    /** How stored values become values of a FLOAT input. */
    public Normalization normalization() {
        return normalization;
    }

    /**
     * Checks the samples against a model's inputs; reads headers only.
     *
     * @throws UnsupportedException if names, ranks, sizes or types do not fit, the arrays have different numbers of
     *     samples, or none, or they cannot be divided into parts
     */
    public BoundSamples bind(List<InputSpec> inputs) {
        BoundSamples all = images.isPresent()
                ? images.get().bind(inputs, limit.first())
                : ArrayBinding.bind(where, arrays, inputs, normalization, limit.first());
        BoundSamples some = all.spread(limit.spread());
        Part part = limit.part();
        return part.parts() == 1 ? some : some.part(part.number(), part.parts(), part.batch());
    }

    @Override
    public void close() {
        archive.ifPresent(Npz::close);
    }
}
