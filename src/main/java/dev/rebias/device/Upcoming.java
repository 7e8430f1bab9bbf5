package dev.rebias.device;

import dev.rebias.op.Op;
import java.util.List;
import java.util.Optional;

/**
 * An operation that will be prepared and run soon.
 *
 * @param operands as for {@link Device#prepare}
 * @param shapes of the variable operands, in order; empty where they are not known
 */
public record Upcoming(Op op, List<Operand> operands, List<Optional<long[]>> shapes) {
    public Upcoming {
        operands = List.copyOf(operands);
        shapes = List.copyOf(shapes);
    }
}
