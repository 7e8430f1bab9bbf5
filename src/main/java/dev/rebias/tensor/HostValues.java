package dev.rebias.tensor;

/** A tensor's values on the host: as they are, or as bytes that stand for them. */
public sealed interface HostValues permits HostTensor, CodedTensor {
    ElementType type();

    /** The dimensions, outermost first; a copy. */
    long[] shape();

    /** How much memory they take as they are stored. */
    long storedBytes();

    /** The values as they are. */
    HostTensor tensor();
}
