package dev.rebias.sweep;

import dev.rebias.error.UnsupportedException;
import dev.rebias.exchange.Rounds;
import dev.rebias.measure.Measurement;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;

/** How participants that sweep different samples by equal plans come to measure those of all. */
record BarrierExchange(Plan plan, Rounds rounds) {
    /**
     * Makes sure that all participants measure the same layers at the same barriers, and in the same way.
     *
     * @param perSample whether statistics of samples are measured
     * @param heldOut whether some are held out
     * @throws UnsupportedException if they do not
     */
    void agree(boolean perSample, boolean heldOut) {
        if (rounds.isAlone()) {
            return;
        }
        String own = plan.reference() + " " + plan.errors() + " " + perSample + " " + heldOut + " "
                + plan.segments().stream().map(Plan.Segment::solved).toList() + " "
                + plan.measured().stream().map(Plan.Measured::methods).toList();
        byte[] bytes = own.getBytes(StandardCharsets.UTF_8);
        List<String> all = rounds.collect(
                "the plan of the sweep",
                (DataOutputStream out) -> out.write(bytes),
                (DataInputStream in) -> new String(in.readAllBytes(), StandardCharsets.UTF_8));
        for (int i = 0; i < all.size(); i++) {
            if (!all.get(i).equals(own)) {
                throw new UnsupportedException("parts " + (rounds.number() + 1) + " and " + (i + 1) + " of "
                        + all.size() + " would measure layers in different ways: give all of them devices of one kind, "
                        + "and samples of the same shapes");
            }
        }
    }

    /**
     * At the barrier behind a segment, makes what each participant has measured that of all.
     *
     * @param measured the measurements of a layer that is solved there
     */
    void merge(int segment, Function<Plan.Solved, List<Measurement>> measured) {
        List<Measurement> all = plan.segments().get(segment).solved().stream()
                .flatMap(solved -> measured.apply(solved).stream())
                .toList();
        if (rounds.isAlone() || all.isEmpty()) {
            return;
        }
        all.forEach(Measurement::bring);
        rounds.gather(
                "barrier " + segment,
                out -> {
                    for (Measurement own : all) {
                        own.write(out);
                    }
                },
                parts -> {
                    for (Measurement own : all) {
                        own.take(parts);
                    }
                });
    }
}
