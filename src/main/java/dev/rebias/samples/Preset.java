package dev.rebias.samples;

import dev.rebias.error.UsageException;
import java.util.List;
import java.util.stream.Collectors;

/**
 * How a well-known family of networks wants its pixels, which are 0 to 255.
 *
 * @param label its name on the command line
 * @param normalization what becomes of values
 * @param images how images are treated; of arrays the channels must be in that order already
 */
public record Preset(String label, Normalization normalization, ImageOptions images) {
    private static final float[] ZERO = {0};
    private static final float[] ONE = {1};

    /** Torchvision's networks: red, green, blue; (x / 255 - mean) / std with the means of ImageNet. */
    public static final Preset IMAGENET = new Preset(
            "imagenet",
            new Normalization(255, new float[] {0.485f, 0.456f, 0.406f}, new float[] {0.229f, 0.224f, 0.225f}),
            ImageOptions.AS_THEY_ARE);

    /** Caffe's networks: blue, green, red; x - mean. */
    public static final Preset IMAGENET_BGR = new Preset(
            "imagenet-bgr",
            new Normalization(1, new float[] {103.939f, 116.779f, 123.68f}, ONE),
            ImageOptions.AS_THEY_ARE.withOrder(ImageOptions.Order.BGR));

    /** TensorFlow's networks: x / 127.5 - 1. */
    public static final Preset TF = new Preset("tf", new Normalization(127.5f, ONE, ONE), ImageOptions.AS_THEY_ARE);

    /** YOLO: x / 255, the whole image in the middle of grey borders. */
    public static final Preset YOLO = new Preset(
            "yolo",
            new Normalization(255, ZERO, ONE),
            ImageOptions.AS_THEY_ARE.withResize(new ImageOptions.Letterbox(0, 0, ImageOptions.Letterbox.GREY)));

    /** x / 255. */
    public static final Preset ZERO_TO_ONE =
            new Preset("0-1", new Normalization(255, ZERO, ONE), ImageOptions.AS_THEY_ARE);

    private static final List<Preset> ALL = List.of(IMAGENET, IMAGENET_BGR, TF, YOLO, ZERO_TO_ONE);

    /**
     * The preset of that name.
     *
     * @throws UsageException if there is none
     */
    public static Preset of(String label) {
        return ALL.stream()
                .filter(p -> p.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new UsageException("there is no preset '" + label + "': give one of "
                        + ALL.stream().map(Preset::label).collect(Collectors.joining(", "))));
    }
}
