package dev.rebias.samples;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A folder of images as the samples of one input. Where the input leaves its size open, images of several sizes go
 * through in groups of one size each, the largest first; every image counts the same.
 *
 * @param options what happens to an image before its values are normalised
 */
record ImageFolder(Path path, ImageOptions options, Normalization normalization) {
    /** Where the channels of an input are, and its size: -1 where that is open. */
    record Target(int channels, boolean channelsLast, int height, int width) {
        ImageOptions.Size size(ImageOptions.Size image, ImageOptions options) {
            return options.result(image, width, height);
        }

        boolean fits(ImageOptions.Size size) {
            return (height < 0 || height == size.height()) && (width < 0 || width == size.width());
        }

        private boolean isOpen() {
            return height < 0 || width < 0;
        }
    }

    /**
     * Binds the first images to an input.
     *
     * @throws UnsupportedException as {@link Samples#bind} does
     */
    BoundSamples bind(List<InputSpec> inputs, int limit) {
        List<Path> files = files().stream().limit(limit).toList();
        if (files.isEmpty()) {
            throw new UnsupportedException(
                    "folder '" + path + "' holds no images (jpg, png, webp, bmp, gif, tif), nor do its subfolders");
        }
        if (inputs.size() != 1) {
            throw new UnsupportedException("a folder of images fills one input, the model has " + inputs.size()
                    + ": save the samples as an .npz");
        }
        InputSpec input = inputs.get(0);
        Target target = target(input);
        Map<ImageOptions.Size, List<Path>> groups = groups(files, target);
        List<Path> ordered = groups.values().stream().flatMap(List::stream).toList();
        BoundSamples.Filled filled =
                new BoundSamples.Filled(() -> new ImageReader(ordered, target, options, normalization), true);
        return new BoundSamples(
                List.of(filled.as(input.quantization())),
                groups.values().stream().map(List::size).toList());
    }

    /** The image files in the folder and its subfolders, by path; what is hidden is left out. */
    List<Path> files() {
        try (Stream<Path> all = Files.walk(path, FileVisitOption.FOLLOW_LINKS)) {
            return all.filter(ImageDecoder::isImage)
                    .filter(f -> path.relativize(f).toString().isEmpty() || !isHidden(path.relativize(f)))
                    .filter(Files::isRegularFile)
                    .sorted()
                    .toList();
        } catch (IOException | UncheckedIOException e) {
            throw new RebiasException("folder '" + path + "' cannot be listed: " + e.getMessage(), e);
        }
    }

    private static boolean isHidden(Path relative) {
        for (Path part : relative) {
            if (part.toString().startsWith(".")) {
                return true;
            }
        }
        return false;
    }

    /** Checks that an input can be filled with images. */
    private Target target(InputSpec input) {
        long[] shape = input.shape();
        boolean last = input.channelsLast() || (shape.length == 4 && !areChannels(shape[1]) && areChannels(shape[3]));
        boolean fits = input.type() == ElementType.FLOAT && shape.length == 4 && areChannels(shape[last ? 3 : 1]);
        if (!fits) {
            throw new UnsupportedException("images in '" + path + "' cannot fill input '" + input.name() + "' ("
                    + input.type() + " " + input.shapeText()
                    + "): that takes FLOAT [N,1 or 3,height,width] or [N,height,width,1 or 3]"
                    + "; save the samples as an .npz instead");
        }
        Target target = new Target(
                Math.toIntExact(shape[last ? 3 : 1]),
                last,
                Math.toIntExact(shape[last ? 1 : 2]),
                Math.toIntExact(shape[last ? 2 : 3]));
        if (!normalization.fits(target.channels())) {
            throw new UnsupportedException("mean and std have another number of values than input '" + input.name()
                    + "' " + input.shapeText() + " has channels");
        }
        return target;
    }

    private static boolean areChannels(long size) {
        return size == 1 || size == 3;
    }

    /**
     * The images by the size they come to; one group, and no image looked at, where the input or the options say which.
     */
    private Map<ImageOptions.Size, List<Path>> groups(List<Path> files, Target target) {
        Optional<ImageOptions.Size> known = known(target);
        if (known.isPresent()) {
            return Map.of(known.get(), files);
        }
        Map<ImageOptions.Size, List<Path>> groups = new LinkedHashMap<>();
        for (Path file : files) {
            groups.computeIfAbsent(target.size(ImageDecoder.size(file), options), k -> new ArrayList<>())
                    .add(file);
        }
        Map<ImageOptions.Size, List<Path>> largestFirst = new LinkedHashMap<>();
        groups.entrySet().stream()
                .sorted(Comparator.comparingLong(
                        e -> -(long) e.getKey().width() * e.getKey().height()))
                .forEach(e -> largestFirst.put(e.getKey(), e.getValue()));
        return largestFirst;
    }

    private Optional<ImageOptions.Size> known(Target target) {
        if (options.crop().isPresent()) {
            return options.crop();
        }
        if (options.resize().isPresent() && !(options.resize().get() instanceof ImageOptions.ShortSide)) {
            return Optional.of(target.size(new ImageOptions.Size(1, 1), options));
        }
        return target.isOpen() ? Optional.empty() : Optional.of(new ImageOptions.Size(target.width(), target.height()));
    }
}
