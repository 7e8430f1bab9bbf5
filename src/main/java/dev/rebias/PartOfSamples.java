package dev.rebias;

import dev.rebias.device.DeviceInfo;
import dev.rebias.error.UnsupportedException;
import dev.rebias.exchange.Rounds;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostValues;
import java.io.DataInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A participant's part of the samples, and where it lies among those of all: the parts one after the other are the
 * whole set, from which the same samples are held out, and on the same of which the outcome is measured, as without
 * parts.
 *
 * @param number the part's, from 0
 * @param all what each part has
 * @param oneSize whether all samples of all parts have one size
 */
record PartOfSamples(int number, List<Extent> all, boolean oneSize) {
    /**
     * What a participant says of itself when it begins.
     *
     * @param correction what it is about to do, as text that is equal where it is the same
     * @param device what it works on
     * @param samples how many it has
     * @param sizes the size of its samples, as text; empty where they have several
     */
    record Extent(String correction, DeviceInfo device, int samples, String sizes) {
        static Extent read(DataInputStream in) throws IOException {
            return new Extent(
                    in.readUTF(),
                    new DeviceInfo(in.readUTF(), in.readUTF(), in.readBoolean()),
                    in.readInt(),
                    in.readUTF());
        }
    }

    /**
     * Finds out what all participants have.
     *
     * @param correction what is about to be done, as text that is equal where it is the same
     * @throws UnsupportedException if others are about to do something else
     */
    static PartOfSamples of(Rounds rounds, DeviceInfo device, BoundSamples own, String correction) {
        if (rounds.isAlone()) {
            return new PartOfSamples(0, List.of(new Extent(correction, device, own.count(), "")), own.shapes() == 1);
        }
        String sizes = own.shapes() == 1 ? sizes(own) : "";
        List<Extent> all = rounds.collect(
                "parts of the samples",
                out -> {
                    out.writeUTF(correction);
                    out.writeUTF(device.kind());
                    out.writeUTF(device.name());
                    out.writeBoolean(device.emulated());
                    out.writeInt(own.count());
                    out.writeUTF(sizes);
                },
                Extent::read);
        for (int i = 0; i < all.size(); i++) {
            if (!all.get(i).correction().equals(correction)) {
                throw new UnsupportedException("parts " + (rounds.number() + 1) + " and " + (i + 1) + " of "
                        + all.size() + " make different corrections: give all of them the same models and options");
            }
        }
        boolean oneSize =
                all.stream().allMatch(e -> !sizes.isEmpty() && e.sizes().equals(sizes));
        return new PartOfSamples(rounds.number(), all, oneSize);
    }

    private static String sizes(BoundSamples samples) {
        try (Batches first = samples.batches(1)) {
            return first.stored().stream()
                    .map(HostValues::shape)
                    .map(Arrays::toString)
                    .toList()
                    .toString();
        }
    }

    /** How many samples all parts have. */
    int total() {
        return all.stream().mapToInt(Extent::samples).sum();
    }

    /** How many samples the parts before this one have. */
    int before() {
        return all.stream().limit(number).mapToInt(Extent::samples).sum();
    }

    /**
     * At most n samples spread evenly over those of all parts: those of them that are in this one.
     *
     * @param own this part's samples of that kind
     * @param counts how many of that kind each part has
     */
    Optional<BoundSamples> spread(BoundSamples own, int n, List<Integer> counts) {
        int total = counts.stream().mapToInt(c -> c).sum();
        int before = counts.stream().limit(number).mapToInt(c -> c).sum();
        return own.spread(n, before, total);
    }
}
