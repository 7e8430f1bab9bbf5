package dev.rebias.samples;

import dev.rebias.error.UsageException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** How well-known families of networks want their pixels, which are 0 to 255. */
public enum Preset {
    /** Torchvision's networks: red, green, blue; (x / 255 - mean) / std with the means of ImageNet. */
    IMAGENET(
            "imagenet",
            new Normalization(255, new float[] {0.485f, 0.456f, 0.406f}, new float[] {0.229f, 0.224f, 0.225f}),
            ImageOptions.Order.RGB),
    /** Caffe's networks: blue, green, red; x - mean. */
    IMAGENET_BGR(
            "imagenet-bgr",
            new Normalization(1, new float[] {103.939f, 116.779f, 123.68f}, new float[] {1}),
            ImageOptions.Order.BGR),
    /** TensorFlow's networks: x / 127.5 - 1. */
    TF("tf", new Normalization(127.5f, new float[] {1}, new float[] {1}), ImageOptions.Order.RGB),
    /** YOLO: x / 255, the whole image in the middle of grey borders. */
    YOLO("yolo", new Normalization(255, new float[] {0}, new float[] {1}), ImageOptions.Order.RGB),
    /** x / 255. */
    ZERO_TO_ONE("0-1", new Normalization(255, new float[] {0}, new float[] {1}), ImageOptions.Order.RGB);

    private final String label;
    private final Normalization normalization;
    private final ImageOptions.Order order;

    Preset(String label, Normalization normalization, ImageOptions.Order order) {
        this.label = label;
        this.normalization = normalization;
        this.order = order;
    }

    /**
     * The preset of that name.
     *
     * @throws UsageException if there is none
     */
    public static Preset of(String label) {
        return Arrays.stream(values())
                .filter(p -> p.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new UsageException("there is no preset '" + label + "': give one of "
                        + Arrays.stream(values()).map(p -> p.label).collect(Collectors.joining(", "))));
    }

    public Normalization normalization() {
        return normalization;
    }

    /** How images are treated; of arrays the channels must be in that order already. */
    public ImageOptions images() {
        ImageOptions images = ImageOptions.AS_THEY_ARE.withOrder(order);
        return this == YOLO ? images.withResize(new ImageOptions.Letterbox(0, 0, ImageOptions.Letterbox.GREY)) : images;
    }
}
