package dev.rebias.cli;

import dev.rebias.error.UsageException;
import dev.rebias.samples.ImageOptions;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Preset;
import dev.rebias.samples.Samples;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/**
 * The options that say how stored values become input values, (x / scale - mean) / std, and what happens to images
 * before that.
 */
final class SampleOptions {
    @Option(
            names = "--preset",
            paramLabel = "P",
            description = "How the network was trained: imagenet (scale 255, ImageNet's mean and std), imagenet-bgr "
                    + "(Caffe's: blue first, only means subtracted), tf (x / 127.5 - 1), yolo (x / 255, "
                    + "letterboxed) or 0-1 (x / 255).")
    private Optional<String> preset = Optional.empty();

    @Option(names = "--scale", paramLabel = "S", description = "Divide stored values by this, e.g. 255 (default: 1).")
    private Optional<Float> scale = Optional.empty();

    @Option(
            names = "--mean",
            split = ",",
            paramLabel = "M",
            description = "Then subtract this: one value, or one per channel (default: 0).")
    private List<Float> mean = List.of();

    @Option(
            names = "--std",
            split = ",",
            paramLabel = "S",
            description = "Then divide by this: one value, or one per channel (default: 1).")
    private List<Float> std = List.of();

    @Option(
            names = "--resize",
            paramLabel = "N|WxH",
            description = "Resize images: the short side to N pixels, or to W x H whatever their proportions.")
    private Optional<String> resize = Optional.empty();

    @Option(names = "--crop", paramLabel = "N|WxH", description = "Then keep the middle of that size.")
    private Optional<String> crop = Optional.empty();

    @Option(
            names = "--letterbox",
            paramLabel = "N|WxH[:V]",
            description =
                    "Or resize images to fit into that size, in the middle of a border of value V (default: 114).")
    private Optional<String> letterbox = Optional.empty();

    @Option(
            names = "--filter",
            paramLabel = "F",
            description = "Resize with bilinear (default) or bicubic weights, antialiased, as Pillow does.")
    private Optional<String> filter = Optional.empty();

    @Option(
            names = "--order",
            paramLabel = "O",
            description = "The order of an image's channels as the network takes them: rgb (default) or bgr.")
    private Optional<String> order = Optional.empty();

    /**
     * Opens samples with these options.
     *
     * @throws UsageException if options contradict each other, or are for images and the samples are none
     */
    Samples open(Path path) {
        return Samples.open(path, normalization(), images(path));
    }

    Normalization normalization() {
        if (preset.isEmpty()) {
            return new Normalization(scale.orElse(1f), floats(mean, 0), floats(std, 1));
        }
        if (scale.isPresent() || !mean.isEmpty() || !std.isEmpty()) {
            throw new UsageException("--preset says what --scale, --mean and --std would: give one or the others");
        }
        return Preset.of(preset.get()).normalization();
    }

    private ImageOptions images(Path path) {
        boolean given = resize.isPresent()
                || crop.isPresent()
                || letterbox.isPresent()
                || filter.isPresent()
                || order.isPresent();
        if (!given && !Files.isDirectory(path)) {
            // Of a preset, arrays take the numbers.
            return ImageOptions.AS_THEY_ARE;
        }
        if (resize.isPresent() && letterbox.isPresent()) {
            throw new UsageException("--resize and --letterbox are two ways to resize images: give one");
        }
        ImageOptions options = preset.map(p -> Preset.of(p).images()).orElse(ImageOptions.AS_THEY_ARE);
        if (resize.isPresent()) {
            options = options.withResize(resize(resize.get()));
        }
        if (letterbox.isPresent()) {
            options = options.withResize(ImageOptions.Letterbox.of(letterbox.get()));
        }
        if (crop.isPresent()) {
            options = options.withCrop(ImageOptions.Size.of(crop.get()));
        }
        if (filter.isPresent()) {
            options = options.withFilter(one(
                    "--filter", filter.get(), "bilinear or bicubic", () -> ImageOptions.Filter.valueOf(upper(filter))));
        }
        if (order.isPresent()) {
            options = options.withOrder(
                    one("--order", order.get(), "rgb or bgr", () -> ImageOptions.Order.valueOf(upper(order))));
        }
        return options;
    }

    private static String upper(Optional<String> value) {
        return value.orElseThrow().toUpperCase(Locale.ROOT);
    }

    private static <T> T one(String option, String value, String possible, Supplier<T> parsed) {
        try {
            return parsed.get();
        } catch (IllegalArgumentException e) {
            throw new UsageException(option + " " + value + " is not possible: give " + possible, e);
        }
    }

    private static ImageOptions.Resize resize(String text) {
        ImageOptions.Size size = ImageOptions.Size.of(text);
        return text.contains("x") ? new ImageOptions.Exactly(size) : new ImageOptions.ShortSide(size.width());
    }

    private static float[] floats(List<Float> values, float otherwise) {
        if (values.isEmpty()) {
            return new float[] {otherwise};
        }
        float[] out = new float[values.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = values.get(i);
        }
        return out;
    }
}
