package dev.rebias.samples;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.stream.LongStream;

/**
 * An array as far as binding needs to know it.
 *
 * @param where the file and array, for messages
 * @param type the type of its elements
 * @param shape its dimensions, samples first
 * @param converts whether its numbers become an input's floats, and normalised, as those of files do; else they are
 *     taken as they are
 * @param maker makes readers
 */
record ArraySource(String where, ElementType type, long[] shape, boolean converts, ReaderMaker maker) {
    /** Makes readers of an array. */
    @FunctionalInterface
    interface ReaderMaker {
        /** A reader for an input, the samples being given this shape. */
        SampleReader make(InputSpec input, long[] shape, Normalization normalization);
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** The whole array as one value of an input, which is as it is: what is the same for all samples is no picture. */
    HostTensor value(InputSpec input) {
        long[] one = LongStream.concat(LongStream.of(1), LongStream.of(shape)).toArray();
        try (SampleReader reader = maker.make(input, one, Normalization.NONE)) {
            return reader.next(1).reshape(shape);
        }
    }
}
