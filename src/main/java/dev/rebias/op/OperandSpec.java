package dev.rebias.op;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What is known of an operand before its operation runs.
 *
 * @param shape outermost dimension first
 * @param values its values, which are asked for only where a shape depends on them; empty for what the operation's own
 *     members make
 */
public record OperandSpec(ElementType type, long[] shape, Optional<Supplier<HostTensor>> values) {
    /** A constant. */
    public static OperandSpec of(HostTensor constant) {
        return new OperandSpec(constant.type(), constant.shape(), Optional.of(() -> constant));
    }

    /** A tensor of which nothing but type and shape is known. */
    public static OperandSpec of(ElementType type, long... shape) {
        return new OperandSpec(type, shape, Optional.empty());
    }

    /** The number of elements. */
    long elements() {
        return Shape.elements(shape);
    }

    /** The values of a tensor of INT64 or INT32. */
    Optional<long[]> integers() {
        if (type != ElementType.INT64 && type != ElementType.INT32) {
            return Optional.empty();
        }
        return values.map(Supplier::get).map(t -> {
            long[] out = new long[Math.toIntExact(t.elements())];
            for (int i = 0; i < out.length; i++) {
                out[i] = type == ElementType.INT64 ? t.longs().get(i) : t.ints().get(i);
            }
            return out;
        });
    }

    /** The values of a tensor of FLOAT. */
    Optional<float[]> floats() {
        return type == ElementType.FLOAT ? values.map(Supplier::get).map(HostTensor::toFloats) : Optional.empty();
    }
}
