package dev.rebias;

import dev.rebias.device.DeviceInfo;
import dev.rebias.error.UnsupportedException;
import dev.rebias.exchange.Rounds;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostValues;
import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A participant's part of the samples, and where it lies among those of all: the parts one after the other are the
 * whole set, from which the same samples are held out, and on the same of which the outcome is measured, as without
 * parts.
 *
 * @param rounds of all participants
 * @param all what each part has
 * @param oneSize whether all samples of all parts have one size
 */
record PartOfSamples(Rounds rounds, List<Extent> all, boolean oneSize) {
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
     * @param what what is about to be done, as text that is equal where it is the same
     * @throws UnsupportedException if others are about to do something else
     */
    static PartOfSamples of(Rounds rounds, DeviceInfo device, BoundSamples own, Supplier<String> what) {
        if (rounds.isAlone()) {
            return new PartOfSamples(rounds, List.of(new Extent("", device, own.count(), "")), own.shapes() == 1);
        }
        String correction = what.get();
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
        return new PartOfSamples(rounds, all, oneSize);
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

    /** The part's number, from 0. */
    int number() {
        return rounds.number();
    }

    private int total() {
        return all.stream().mapToInt(Extent::samples).sum();
    }

    private int before() {
        return all.stream().limit(number()).mapToInt(Extent::samples).sum();
    }

    /**
     * What corrections come from, and what is held out: spread over the samples of all parts; where the model fixes its
     * batch, over each part's, in whole batches of the model.
     *
     * @param options how many are held out
     * @param batch that the model fixes, or 1
     * @throws UnsupportedException if there are too few samples for that
     */
    Optional<BoundSamples.Split> split(BoundSamples own, CorrectionOptions options, int batch) {
        return split(own, options, batch, before(), total());
    }

    /**
     * The same of a part where nobody has been asked what the others have.
     *
     * @param before how many samples the parts before this one have
     * @param total how many all parts have
     */
    static Optional<BoundSamples.Split> split(
            BoundSamples own, CorrectionOptions options, int batch, int before, int total) {
        if (options.holdout() == 0) {
            return Optional.empty();
        }
        int count = batch > 1 ? own.count() : total;
        int batches = count / batch;
        if (batches < 2) {
            throw new UnsupportedException("of " + count + " samples none can be held out"
                    + (batch > 1 ? ", the model taking " + batch + " at a time" : "")
                    + ": give more, or name a reference and hold none out (`reference` layer `holdout` 0)");
        }
        int held = Math.max(1, Math.min(batches - 1, options.heldOut(count) / batch));
        return Optional.of(batch > 1 ? own.split(held * batch) : own.split(held, before, total));
    }

    /** How the samples of all parts fall into those that corrections come from and those that are held out. */
    List<Sharing.Part> divided(BoundSamples samples, Optional<BoundSamples> heldOut) {
        int held = heldOut.map(BoundSamples::count).orElse(0);
        if (rounds.isAlone()) {
            return List.of(new Sharing.Part(all.get(0).device(), samples.count(), held));
        }
        List<int[]> counts = rounds.collect(
                "held-out samples",
                out -> {
                    out.writeInt(samples.count());
                    out.writeInt(held);
                },
                in -> new int[] {in.readInt(), in.readInt()});
        List<Sharing.Part> parts = new ArrayList<>();
        for (int i = 0; i < counts.size(); i++) {
            parts.add(new Sharing.Part(all.get(i).device(), counts.get(i)[0], counts.get(i)[1]));
        }
        return parts;
    }
}
