package dev.rebias.samples;

import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/** Samples that were read in parts. */
final class SampleParts {
    private SampleParts() {}

    /**
     * Reads n samples in parts.
     *
     * @param part gives as many of the next samples as it can at once, from 1 up to those asked for
     */
    static HostValues read(int n, IntFunction<HostValues> part) {
        List<HostValues> parts = new ArrayList<>();
        for (int have = 0; have < n; ) {
            HostValues next = part.apply(n - have);
            parts.add(next);
            have += Math.toIntExact(next.shape()[0]);
        }
        return joined(parts);
    }

    /**
     * The parts one after the other along axis 0, as bytes where all of them are; at least one part, all of one type
     * and one shape of sample.
     */
    static HostValues joined(List<? extends HostValues> parts) {
        HostValues first = parts.get(0);
        if (parts.size() == 1) {
            return first;
        }
        long[] shape = first.shape();
        shape[0] = parts.stream().mapToLong(p -> p.shape()[0]).sum();
        if (parts.stream().allMatch(CodedTensor.class::isInstance)) {
            List<CodedTensor> coded =
                    parts.stream().map(CodedTensor.class::cast).toList();
            if (coded.stream().allMatch(coded.get(0)::continuesWith)) {
                return coded.get(0)
                        .withCodes(
                                shape,
                                joined(
                                        shape,
                                        coded.stream().map(CodedTensor::codes).toList()));
            }
        }
        return joined(shape, parts.stream().map(HostValues::tensor).toList());
    }

    private static HostTensor joined(long[] shape, List<HostTensor> parts) {
        HostTensor together = HostTensor.zeros(parts.get(0).type(), shape);
        ByteBuffer to = together.bytes();
        parts.forEach(part -> to.put(part.bytes()));
        return together;
    }
}
