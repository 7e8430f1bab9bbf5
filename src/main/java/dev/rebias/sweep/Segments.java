package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Resources;
import java.util.Optional;

/**
 * A plan's segments, one after the other: the one at work, and the ones before and behind it. With several threads, who
 * has no batch left closes the one and prepares the other while others are still at work.
 */
final class Segments implements AutoCloseable {
    private final Plan plan;
    private final Device device;
    private final Corrections corrections;
    private final Profile profile;
    private Optional<PreparedSegment> before = Optional.empty();
    private Optional<PreparedSegment> current = Optional.empty();
    private Optional<PreparedSegment> next = Optional.empty();

    Segments(Plan plan, Device device, Corrections corrections, Profile profile) {
        this.plan = plan;
        this.device = device;
        this.corrections = corrections;
        this.profile = profile;
    }

    /** Goes on to the segment with that number. */
    PreparedSegment take(int number) {
        before = current;
        current = Optional.empty();
        if (device.batches().threads() == 1) {
            closeBefore();
        }
        current = next.isPresent() ? next : Optional.of(prepare(number));
        next = Optional.empty();
        current.get().prepareAdjusted();
        return current.get();
    }

    /** Closes the segment before the one at work, and prepares the one with that number, if there is one. */
    void meanwhile(int number) {
        if (device.batches().threads() > 1) {
            closeBefore();
            if (number < plan.segments().size()) {
                next = Optional.of(prepare(number));
            }
        }
    }

    private void closeBefore() {
        Optional<PreparedSegment> last = before;
        before = Optional.empty();
        last.ifPresent(PreparedSegment::close);
    }

    private PreparedSegment prepare(int number) {
        long start = System.nanoTime();
        PreparedSegment prepared = new PreparedSegment(plan.segments().get(number), device, corrections, profile);
        profile.spent("preparing operations", start);
        return prepared;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        before.ifPresent(s -> all.add(s::close));
        current.ifPresent(s -> all.add(s::close));
        next.ifPresent(s -> all.add(s::close));
        all.close();
    }
}
