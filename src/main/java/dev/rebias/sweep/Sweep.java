package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.error.CancelledException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Moments;
import dev.rebias.rounding.Parallel;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostValues;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs a plan: segment by segment, and in each segment batch by batch, several at once where the device lets several
 * threads work. A batch's tensors that a later segment needs wait at the barrier (the {@link Frontier}), and are given
 * the corrections found there when the batch comes by again. So every step runs once per batch; a cheap layer of which
 * errors are computed has two, one on either side of its barrier.
 */
public final class Sweep implements AutoCloseable {
    private final Plan plan;
    private final Device device;
    private final Profile profile = new Profile();
    private final Frontier frontier;
    private final Corrections corrections;
    /** Why samples could not be read. */
    private Optional<RuntimeException> unreadable = Optional.empty();

    /**
     * Prepares a sweep.
     *
     * @param memoryLimit the bytes of tensors beyond which batches that wait at a barrier go to a temporary file
     */
    public Sweep(Plan plan, Device device, CorrectionSpec spec, long memoryLimit) {
        this.plan = plan;
        this.device = device;
        this.frontier = new Frontier(device, memoryLimit);
        try {
            this.corrections = new Corrections(plan, device, spec, profile);
        } catch (RuntimeException | Error e) {
            frontier.close();
            throw e;
        }
    }

    /**
     * Sweeps all samples, as {@link #run(BoundSamples, Optional, int, SweepListener, Runnable)} does; none are held
     * out.
     *
     * @return for each layer of the plan, its error statistics and its correction
     */
    public List<Moments> run(BoundSamples samples, int batchSize, SweepListener listener) {
        return run(samples, Optional.empty(), batchSize, listener, () -> {}).stream()
                .map(LayerMoments::moments)
                .toList();
    }

    /**
     * Sweeps all samples, and with them some that corrections do not come from: what these would say is kept apart.
     *
     * @param held the samples that are held out
     * @param read work on samples that is done while others may read more of them: run whenever samples have been read,
     *     by the thread that did it
     * @return for each layer of the plan, its error statistics and its correction
     * @throws UnsupportedException if a model cannot be run on these samples, or computes values that are not numbers
     * @throws CancelledException if the thread is interrupted: batches and the layer at work are ended, and no other
     *     begins
     */
    public List<LayerMoments> run(
            BoundSamples samples, Optional<BoundSamples> held, int batchSize, SweepListener listener, Runnable read) {
        int correcting = samples.batchCount(batchSize);
        int batches = correcting + held.map(h -> h.batchCount(batchSize)).orElse(0);
        held.ifPresent(h -> corrections.holdOutFrom(correcting));
        corrections.agree();
        long total = (long) batches * plan.segments().size();
        AtomicLong done = new AtomicLong();
        Thread caller = Thread.currentThread();
        try (Arrivals source = new Arrivals(samples, held, batchSize);
                Workers workers = new Workers(device.batches().threads());
                Segments segments = new Segments(plan, device, corrections, profile)) {
            enter(source, 1);
            device.expect(plan.upcoming(frontier.shapes(0, plan.inputs())));
            for (int k = 0; k < plan.segments().size(); k++) {
                boolean first = k == 0;
                int next = k + 1;
                PreparedSegment segment = segments.take(k);
                workers.forEach(
                        batches,
                        b -> {
                            CancelledException.throwIfInterrupted(caller);
                            if (first) {
                                // One batch ahead, so that its way to the device and the work on the one before
                                // can overlap.
                                enter(source, b + 2);
                                look(read);
                            }
                            run(segment, b);
                            synchronized (done) {
                                listener.progress(done.incrementAndGet(), total);
                            }
                        },
                        () -> segments.meanwhile(next));
                corrections.exchange(k);
                corrections.solve(k, workers::forEach);
                solved(k).forEach(listener::solved);
            }
            CancelledException.throwIfInterrupted(caller);
            return corrections.read(workers::forEach);
        }
    }

    /** Takes a batch from the barrier through a segment to the next. */
    private void run(PreparedSegment segment, int batch) {
        long start = System.nanoTime();
        Tensor[] tensors = frontier.take(batch, segment.uses());
        frontier.readAhead(batch + device.batches().threads(), segment.uses());
        profile.spent("bringing tensors back", start);
        segment.run(tensors, batch, frontier.samples(batch));
        start = System.nanoTime();
        frontier.rest(batch);
        profile.spent("putting tensors away", start);
    }

    /** The names of the layers whose corrections are known behind a segment. */
    private List<String> solved(int segment) {
        return plan.segments().get(segment).solved().stream()
                .map(s -> plan.layers().get(s.layer()).name())
                .toList();
    }

    /**
     * Takes one batch through all segments and tells what memory that takes. The corrections found on the way are this
     * batch's own; nothing of them is read.
     *
     * @param samples of which the first batch is used
     */
    public Footprint footprint(BoundSamples samples, int batchSize) {
        List<Footprint.Segment> segments = new ArrayList<>();
        int size = Math.min(batchSize, samples.count());
        try (Arrivals source = new Arrivals(samples, Optional.empty(), size)) {
            for (int k = 0; k < plan.segments().size(); k++) {
                Plan.Segment planned = plan.segments().get(k);
                try (PreparedSegment segment = new PreparedSegment(planned, device, corrections, profile)) {
                    long arriving = k == 0 ? 0 : frontier.bytes(0);
                    long others = device.memory().used() - arriving;
                    enter(source, 1);
                    long entering = k == 0 ? frontier.bytes(0) : 0;
                    device.memory().forgetPeak();
                    segment.prepareAdjusted();
                    run(segment, 0);
                    segments.add(new Footprint.Segment(
                            planned.steps().size(),
                            solved(k),
                            others,
                            entering,
                            arriving,
                            device.memory().peak() - others,
                            frontier.bytes(0)));
                }
                corrections.solve(k, Parallel.NONE);
            }
        }
        return new Footprint(size, device.batches().threads(), segments);
    }

    /**
     * Brings batches to the device until that many have come, or all. Where that has failed, whoever asks next is told
     * the same.
     */
    private synchronized void enter(Arrivals source, int wanted) {
        unreadable.ifPresent(e -> {
            throw e;
        });
        try {
            while (frontier.size() < wanted && source.hasNext()) {
                enter(source);
            }
        } catch (RuntimeException e) {
            unreadable = Optional.of(e);
            throw e;
        }
    }

    private void enter(Arrivals source) {
        long start = System.nanoTime();
        List<HostValues> batch = source.next();
        profile.spent("reading samples", start);
        Tensor[] tensors = new Tensor[plan.tensors()];
        frontier.enter(tensors, source.samples());
        for (int i = 0; i < batch.size(); i++) {
            tensors[plan.inputs().get(i)] = device.upload(batch.get(i));
        }
    }

    private void look(Runnable read) {
        long start = System.nanoTime();
        read.run();
        profile.spent("looking at samples", start);
    }

    /** Where the time went. */
    public Profile profile() {
        return profile;
    }

    /** The most bytes that waited in a temporary file at once. */
    public long spilledBytes() {
        return frontier.spilledBytes();
    }

    /** Frees all tensors and moments that are left. */
    @Override
    public void close() {
        Resources all = new Resources();
        all.add(corrections::close);
        all.add(frontier::close);
        all.close();
    }
}
