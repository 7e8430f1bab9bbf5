package dev.rebias.samples;

import dev.rebias.error.UsageException;
import java.util.Optional;

/**
 * How an image becomes a network's input, before its values are normalised: resized, then cropped, then its channels
 * ordered.
 *
 * @param resize how it is resized, if it is
 * @param crop the size of the middle that is kept, if not all is
 * @param filter how new pixels follow from old ones
 * @param order of the three channels
 */
public record ImageOptions(Optional<Resize> resize, Optional<Size> crop, Filter filter, Order order) {
    /** Images in their own size, red, green, blue. */
    public static final ImageOptions AS_THEY_ARE =
            new ImageOptions(Optional.empty(), Optional.empty(), Filter.BILINEAR, Order.RGB);

    /** The order of three channels. */
    public enum Order {
        RGB,
        BGR
    }

    /** How pixels are weighted, both with antialiasing where an image becomes smaller, as Pillow does it. */
    public enum Filter {
        BILINEAR,
        BICUBIC
    }

    /** A size in pixels. */
    public record Size(int width, int height) {
        public Size {
            if (width < 1 || height < 1) {
                throw new UsageException("an image of " + width + "x" + height + " pixels is not possible");
            }
        }

        /**
         * Reads {@code 320x240}, or {@code 224} for a square.
         *
         * @throws UsageException if it is neither
         */
        public static Size of(String text) {
            String[] parts = text.split("x", -1);
            try {
                int width = Integer.parseInt(parts[0]);
                if (parts.length <= 2) {
                    return new Size(width, parts.length == 2 ? Integer.parseInt(parts[1]) : width);
                }
            } catch (NumberFormatException e) {
                throw notASize(text, e);
            }
            throw notASize(text, null);
        }

        private static UsageException notASize(String text, NumberFormatException cause) {
            return new UsageException(
                    "'" + text + "' is no size of an image: give pixels, as in 224 or 320x240 (width x height)", cause);
        }

        @Override
        public String toString() {
            return width + " x " + height;
        }
    }

    /** A way to resize an image. */
    public sealed interface Resize {
        /**
         * The size that an image is resized to.
         *
         * @param inputWidth that of the model's input; -1 where it is open
         * @param inputHeight the same
         */
        Size scaled(Size image, int inputWidth, int inputHeight);
    }

    /** The short side becomes that long, the other one in proportion (rounded down, as torchvision does it). */
    public record ShortSide(int pixels) implements Resize {
        public ShortSide {
            if (pixels < 1) {
                throw new UsageException("images cannot be resized to " + pixels + " pixels: give 1 or more");
            }
        }

        @Override
        public Size scaled(Size image, int inputWidth, int inputHeight) {
            int width = image.width();
            int height = image.height();
            return width <= height
                    ? new Size(pixels, (int) Math.max(1, (long) pixels * height / width))
                    : new Size((int) Math.max(1, (long) pixels * width / height), pixels);
        }
    }

    /** To a size, whatever that does to the proportions. */
    public record Exactly(Size size) implements Resize {
        @Override
        public Size scaled(Size image, int inputWidth, int inputHeight) {
            return size;
        }
    }

    /**
     * As large as fits into a size, in proportion, in the middle of a border.
     *
     * @param width of the whole; 0 for what the model's input has
     * @param height of the whole; 0 for what the model's input has
     * @param fill the value of the border, 0 to 255
     */
    public record Letterbox(int width, int height, int fill) implements Resize {
        /** The border that YOLO is trained with. */
        public static final int GREY = 114;

        public Letterbox {
            if (width < 0 || height < 0 || fill < 0 || fill > 255) {
                throw new UsageException("a letterbox of " + width + "x" + height + " pixels filled with " + fill
                        + " is not possible: give a size, and a value from 0 to 255");
            }
        }

        /**
         * Reads {@code 640}, {@code 640x384} or {@code 640:114}.
         *
         * @throws UsageException if it is none of these
         */
        public static Letterbox of(String text) {
            String[] parts = text.split(":", -1);
            Size size = Size.of(parts[0]);
            try {
                if (parts.length <= 2) {
                    return new Letterbox(
                            size.width(), size.height(), parts.length == 2 ? Integer.parseInt(parts[1]) : GREY);
                }
            } catch (NumberFormatException e) {
                throw new UsageException(
                        "'" + text + "' is no letterbox: give a size and a grey value, as in 640:114", e);
            }
            throw new UsageException("'" + text + "' is no letterbox: give a size and a grey value, as in 640:114");
        }

        /** The size of the whole. */
        Size whole(int inputWidth, int inputHeight) {
            int w = width == 0 ? inputWidth : width;
            int h = height == 0 ? inputHeight : height;
            if (w < 1 || h < 1) {
                throw new UsageException(
                        "the model leaves the size of its input open: say how large a letterbox to fill, as in "
                                + "`letterbox` 640");
            }
            return new Size(w, h);
        }

        @Override
        public Size scaled(Size image, int inputWidth, int inputHeight) {
            Size whole = whole(inputWidth, inputHeight);
            double factor = Math.min((double) whole.width() / image.width(), (double) whole.height() / image.height());
            return new Size((int) Math.max(1, Math.rint(image.width() * factor)), (int)
                    Math.max(1, Math.rint(image.height() * factor)));
        }
    }

    public ImageOptions withResize(Resize newResize) {
        return new ImageOptions(Optional.of(newResize), crop, filter, order);
    }

    public ImageOptions withCrop(Size newCrop) {
        return new ImageOptions(resize, Optional.of(newCrop), filter, order);
    }

    public ImageOptions withFilter(Filter newFilter) {
        return new ImageOptions(resize, crop, newFilter, order);
    }

    public ImageOptions withOrder(Order newOrder) {
        return new ImageOptions(resize, crop, filter, newOrder);
    }

    /**
     * The size that an image of that size becomes.
     *
     * @throws UsageException if what is to be cropped is larger than the image
     */
    Size result(Size image, int inputWidth, int inputHeight) {
        Size resized = resize.map(r -> r instanceof Letterbox box
                        ? box.whole(inputWidth, inputHeight)
                        : r.scaled(image, inputWidth, inputHeight))
                .orElse(image);
        return crop.orElse(resized);
    }
}
