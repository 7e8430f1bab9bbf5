package dev.rebias.device;

import dev.rebias.tensor.HostTensor;

/** One operand of an operation, as far as it is known when the operation is prepared. */
public sealed interface Operand {
    /** A value that is the same in every run: a device uploads and lays it out once. */
    record Constant(HostTensor value) implements Operand {}

    /** A value given to every run. */
    record Variable() implements Operand {}

    /** An optional operand that the operation does without. */
    record Absent() implements Operand {}
}
