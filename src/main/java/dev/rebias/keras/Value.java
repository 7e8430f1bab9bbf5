package dev.rebias.keras;

import dev.rebias.tensor.Shape;

/**
 * A tensor of the network that is being built.
 *
 * @param tensor its name
 * @param shape one sample's dimensions as Keras has them ([height, width, channels]); -1 where the model leaves one
 *     open
 * @param order how the tensor lies in the ONNX model
 * @param flattened where it is a flattened image, that image's [height, width, channels]
 * @param step where all its elements are 0 to 255 times one step, that step; else 0
 */
record Value(String tensor, long[] shape, Order order, long[] flattened, float step) {
    enum Order {
        /** As in Keras. */
        KERAS,
        /** Keras' [height, width, channels] as [channels, height, width]. */
        CHANNELS_FIRST,
        /**
         * The same, flattened: what Keras has as one axis over height, width, channels, lies here as channels, height,
         * width.
         */
        FLATTENED
    }

    static Value keras(String tensor, long... shape) {
        return new Value(tensor, shape, Order.KERAS, new long[0], 0);
    }

    /** An image, its shape given as Keras has it. */
    static Value image(String tensor, long... shape) {
        return new Value(tensor, shape, Order.CHANNELS_FIRST, new long[0], 0);
    }

    /** Another tensor of the same shape and order. */
    Value as(String other) {
        return new Value(other, shape, order, flattened, 0);
    }

    /** The same of elements that are 0 to 255 times a step. */
    Value inSteps(float newStep) {
        return new Value(tensor, shape, order, flattened, newStep);
    }

    /** Where an element of a flattened image, counted in Keras' order, lies in the tensor. */
    int place(int element) {
        int area = Math.toIntExact(flattened[0] * flattened[1]);
        int channels = Math.toIntExact(flattened[2]);
        return element % channels * area + element / channels;
    }

    /** What messages call it. */
    String text() {
        return "data of shape " + Shape.text(shape) + " per sample";
    }

    boolean isImage() {
        return order == Order.CHANNELS_FIRST;
    }

    /** The number of channels: the last axis. */
    long channels() {
        return shape[shape.length - 1];
    }

    long elements() {
        long n = 1;
        for (long d : shape) {
            n = d < 0 || n < 0 ? -1 : n * d;
        }
        return n;
    }

    /** The axis of the ONNX tensor for an axis that Keras counts with the samples first; negative ones from behind. */
    int axis(int keras) {
        int rank = shape.length + 1;
        int axis = keras < 0 ? keras + rank : keras;
        return !isImage() || axis == 0 ? axis : axis == rank - 1 ? 1 : axis + 1;
    }
}
