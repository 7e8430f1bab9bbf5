package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.Operand;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.error.CancelledException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Rounds;
import dev.rebias.measure.Biases;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.WeightChoice;
import dev.rebias.model.LayerPair;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.WeightGrid;
import dev.rebias.rounding.Parallel;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs a plan: segment by segment, and in each segment batch by batch, several at once where the device lets several
 * threads work. A batch's tensors that a later segment needs wait at the barrier (the {@link Frontier}), and are given
 * the corrections found there when the batch comes by again. So every step runs once per batch; a cheap layer of which
 * errors are computed has two, one on either side of its barrier.
 */
public final class Sweep implements AutoCloseable {
    private final Plan plan;
    private final boolean perChannel;
    private final Device device;
    private final List<Measurement> measurements = new ArrayList<>();
    /** The same for the samples that are held out; empty where none are. */
    private final List<Measurement> heldOut = new ArrayList<>();

    private final List<BiasGrid> grids;
    /** By layer, the values that weights can take which are chosen anew; and what became of them. */
    private final Map<Integer, WeightGrid> weightGrids;

    private final Map<Integer, WeightChoice> choices = new HashMap<>();
    /** The operands that stand for such weights, and what takes their place once the weights are chosen. */
    private final IdentityHashMap<HostTensor, HostTensor> adjusted = new IdentityHashMap<>();

    private final Set<HostTensor> standIns = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Optional<CorrectionRule> rule;
    /** The moments of the layers that were solved by a rule, by layer. */
    private final Map<Integer, LayerMoments> ruled = new HashMap<>();

    private final List<Tensor> ruledBiases = new ArrayList<>();
    /** How many batches have samples that corrections come from; those behind them are held out. */
    private int correcting;

    private final Frontier frontier;
    private final Profile profile = new Profile();
    private final BarrierExchange exchanges;
    /** Why samples could not be read. */
    private Optional<RuntimeException> unreadable = Optional.empty();
    /**
     * The tensors that are the same for all batches, by number: corrected biases, which belong to the error moments.
     */
    private final Tensor[] shared;

    /**
     * Prepares a sweep.
     *
     * @param grids for each layer of the plan, the values that its bias can take in its file
     * @param perChannel whether statistics of single channels are wanted
     * @param memoryLimit the bytes of tensors beyond which batches that wait at a barrier go to a temporary file
     */
    public Sweep(Plan plan, Device device, List<BiasGrid> grids, boolean perChannel, long memoryLimit) {
        this(plan, device, grids, perChannel, memoryLimit, Optional.empty());
    }

    /**
     * The same, where what was measured of a layer is looked at before it is corrected.
     *
     * @param rule makes corrections of what was measured; empty where these are the mean errors
     * @throws UsageException if there is a rule, but no statistics of single channels
     */
    public Sweep(
            Plan plan,
            Device device,
            List<BiasGrid> grids,
            boolean perChannel,
            long memoryLimit,
            Optional<CorrectionRule> rule) {
        this(plan, device, grids, perChannel, memoryLimit, rule, Map.of(), Rounds.alone());
    }

    /**
     * The same, where weights are chosen anew, or others sweep other samples.
     *
     * @param weightGrids for each layer of which the plan says so, by its number, the values that its weights can take
     * @param rounds of participants that carry out equal plans: what is measured at a barrier is that of the samples of
     *     all, and so are results
     */
    public Sweep(
            Plan plan,
            Device device,
            List<BiasGrid> grids,
            boolean perChannel,
            long memoryLimit,
            Optional<CorrectionRule> rule,
            Map<Integer, WeightGrid> weightGrids,
            Rounds rounds) {
        if (rule.isPresent() && !perChannel) {
            throw new UsageException("corrections that follow from more than mean errors need statistics of channels");
        }
        if (!rounds.isAlone() && !weightGrids.isEmpty()) {
            throw new UsageException("weights are chosen from products of every two of a layer's inputs, which are not "
                    + "exchanged: adjust biases, or sweep all samples on one device");
        }
        this.exchanges = new BarrierExchange(plan, rounds);
        this.plan = plan;
        this.weightGrids = Map.copyOf(weightGrids);
        this.rule = rule;
        this.grids = List.copyOf(grids);
        this.perChannel = perChannel;
        this.device = device;
        this.shared = new Tensor[plan.tensors()];
        plan.measured().forEach(m -> m.adjusted().ifPresent(standIns::add));
        this.frontier = new Frontier(device, memoryLimit);
        try {
            for (int i = 0; i < plan.layers().size(); i++) {
                measurements.add(measurement(i, grids.get(i), perChannel));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private Measurement measurement(int layer, BiasGrid grid, boolean perSample) {
        LayerPair pair = plan.layers().get(layer);
        Plan.Measured measured = plan.measured().get(layer);
        return new Measurement(
                device,
                measured.weights(),
                new Biases(pair.quantized().bias(), pair.floating().bias(), grid),
                measured.methods(),
                plan.reference() == Reference.NETWORK,
                perSample);
    }

    /**
     * Sweeps all samples.
     *
     * @return for each layer of the plan, its error statistics and its correction
     * @throws UnsupportedException if a model cannot be run on these samples, or computes values that are not numbers
     * @throws CancelledException if the thread is interrupted: batches and the layer at work are ended, and no other
     *     begins
     */
    public List<Moments> run(BoundSamples samples, int batchSize, SweepListener listener) {
        return run(samples, Optional.empty(), batchSize, listener).stream()
                .map(LayerMoments::moments)
                .toList();
    }

    /**
     * Sweeps all samples, and with them some that corrections do not come from: what these would say is kept apart.
     *
     * @param held the samples that are held out
     * @return for each layer of the plan, its error statistics and its correction
     * @throws UnsupportedException as {@link #run(BoundSamples, int, SweepListener)} does
     */
    public List<LayerMoments> run(
            BoundSamples samples, Optional<BoundSamples> held, int batchSize, SweepListener listener) {
        return run(samples, held, batchSize, listener, () -> {});
    }

    /**
     * The same, with work on samples that is done while others may read more of them.
     *
     * @param read is run whenever samples have been read, by the thread that did it
     */
    public List<LayerMoments> run(
            BoundSamples samples, Optional<BoundSamples> held, int batchSize, SweepListener listener, Runnable read) {
        correcting = samples.batchCount(batchSize);
        int batches = correcting + held.map(h -> h.batchCount(batchSize)).orElse(0);
        if (held.isPresent()) {
            for (int i = 0; i < plan.layers().size(); i++) {
                heldOut.add(measurement(i, grids.get(i), false));
            }
        }
        exchanges.agree(perChannel, held.isPresent());
        long total = (long) batches * plan.segments().size();
        AtomicLong done = new AtomicLong();
        Thread caller = Thread.currentThread();
        try (Arrivals source = new Arrivals(samples, held, batchSize);
                Workers workers = new Workers(device.batches().threads());
                Segments segments = new Segments()) {
            enter(source, 1);
            device.expect(plan.upcoming(frontier.shapes(0, plan.inputs())));
            for (int k = 0; k < plan.segments().size(); k++) {
                boolean first = k == 0;
                int next = k + 1;
                Segment prepared = segments.take(k);
                workers.forEach(
                        batches,
                        b -> {
                            goOn(caller);
                            if (first) {
                                // One batch ahead, so that its way to the device and the work on the one before
                                // can overlap.
                                enter(source, b + 2);
                                look(read);
                            }
                            prepared.run(b);
                            synchronized (done) {
                                listener.progress(done.incrementAndGet(), total);
                            }
                        },
                        () -> segments.meanwhile(next));
                exchange(k);
                solve(plan.segments().get(k), workers::forEach, caller);
                plan.segments()
                        .get(k)
                        .solved()
                        .forEach(s ->
                                listener.solved(plan.layers().get(s.layer()).name()));
            }
            goOn(caller);
            return read(workers);
        }
    }

    private static void goOn(Thread caller) {
        if (caller.isInterrupted()) {
            throw new CancelledException("cancelled: the thread was interrupted");
        }
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
            for (Plan.Segment planned : plan.segments()) {
                try (Segment prepared = new Segment(planned)) {
                    long arriving = segments.isEmpty() ? 0 : frontier.bytes(0);
                    long others = device.memory().used() - arriving;
                    enter(source, 1);
                    device.memory().forgetPeak();
                    prepared.prepareAdjusted();
                    prepared.run(0);
                    segments.add(new Footprint.Segment(
                            planned.steps().size(),
                            planned.solved().stream()
                                    .map(s -> plan.layers().get(s.layer()).name())
                                    .toList(),
                            others,
                            arriving,
                            device.memory().peak() - others,
                            frontier.bytes(0)));
                }
                solve(planned, Parallel.NONE, Thread.currentThread());
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

    private void look(Runnable read) {
        long start = System.nanoTime();
        read.run();
        profile.add("looking at samples", System.nanoTime() - start, 0, 0);
    }

    private void enter(Arrivals source) {
        long start = System.nanoTime();
        List<HostValues> batch = source.next();
        profile.add("reading samples", System.nanoTime() - start, 0, 0);
        Tensor[] tensors = new Tensor[plan.tensors()];
        frontier.enter(tensors, source.samples());
        for (int i = 0; i < batch.size(); i++) {
            tensors[plan.inputs().get(i)] = device.upload(batch.get(i));
        }
    }

    /** Where the time went. */
    public Profile profile() {
        return profile;
    }

    /** The most bytes that waited in a temporary file at once. */
    public long spilledBytes() {
        return frontier.spilledBytes();
    }

    /** Chooses a layer's weights, where they are chosen anew. */
    private void choose(int layer, Parallel parallel) {
        Optional<HostTensor> stands = plan.measured().get(layer).adjusted();
        if (stands.isEmpty()) {
            return;
        }
        long start = System.nanoTime();
        WeightGrid grid = weightGrids.get(layer);
        Optional<Measurement> held = heldOut.isEmpty() ? Optional.empty() : Optional.of(heldOut.get(layer));
        WeightChoice choice = measurements.get(layer).choose(grid, held, parallel);
        choices.put(layer, choice);
        adjusted.put(stands.get(), choice.adjusted() ? multiplied(layer, grid, choice) : stands.get());
        profile.add("choosing weights", System.nanoTime() - start, 0, 0);
    }

    /** What the layer's own step multiplies its data by from now on. */
    private HostTensor multiplied(int layer, WeightGrid grid, WeightChoice choice) {
        boolean integers = plan.layers().get(layer).quantized().integers().isPresent();
        double[] multiples = choice.multiples();
        float[] values = new float[multiples.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (integers ? multiples[i] : multiples[i] * grid.step(i));
        }
        return HostTensor.of(values, plan.measured().get(layer).weights().shape());
    }

    /** Makes what each participant has measured in a segment what all have. */
    private void exchange(int segment) {
        long start = System.nanoTime();
        exchanges.merge(segment, solved -> {
            Measurement own = measurements.get(solved.layer());
            return heldOut.isEmpty() ? List.of(own) : List.of(own, heldOut.get(solved.layer()));
        });
        profile.add("exchanging sums", System.nanoTime() - start, 0, 0);
    }

    /**
     * Finds the corrections of a barrier; what was measured of all its layers is on its way to the host before the
     * first is waited for.
     */
    private void solve(Plan.Segment segment, Parallel parallel, Thread caller) {
        for (Plan.Solved solved : segment.solved()) {
            measurements.get(solved.layer()).bring();
            if (!heldOut.isEmpty()) {
                heldOut.get(solved.layer()).bring();
            }
        }
        for (Plan.Solved solved : segment.solved()) {
            goOn(caller);
            choose(solved.layer(), parallel);
        }
        long start = System.nanoTime();
        for (Plan.Solved solved : segment.solved()) {
            goOn(caller);
            solve(solved);
        }
        profile.add("solving", System.nanoTime() - start, 0, 0);
    }

    private void solve(Plan.Solved solved) {
        int layer = solved.layer();
        Measurement m = measurements.get(layer);
        m.solve();
        if (!heldOut.isEmpty()) {
            heldOut.get(layer).solve();
        }
        long[] shape = plan.layers().get(layer).quantized().biasShape();
        if (rule.isPresent()) {
            LayerMoments measured = read(layer);
            float[] delta = rule.get().correction(layer, measured, grids.get(layer));
            ruled.put(layer, measured.corrected(delta));
            if (solved.bias() >= 0) {
                shared[solved.bias()] = biased(layer, delta, shape);
            }
        } else if (solved.bias() >= 0) {
            shared[solved.bias()] = m.correctedBias(shape);
        }
    }

    private Tensor biased(int layer, float[] delta, long[] shape) {
        double[] bias = plan.layers().get(layer).quantized().bias();
        HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
        for (int c = 0; c < delta.length; c++) {
            corrected.floats().put(c, (float) (bias[c] + delta[c]));
        }
        Tensor tensor = device.upload(corrected);
        ruledBiases.add(tensor);
        return tensor;
    }

    private LayerMoments read(int layer) {
        Moments own = kept(measurements.get(layer).read(perChannel));
        return new LayerMoments(
                own,
                heldOut.isEmpty()
                        ? Optional.empty()
                        : Optional.of(kept(heldOut.get(layer).read(perChannel, own.delta()))),
                Optional.ofNullable(choices.get(layer)));
    }

    private Moments kept(Moments m) {
        return plan.errors() ? m : m.withoutErrors();
    }

    private List<LayerMoments> read(Workers workers) {
        long start = System.nanoTime();
        LayerMoments[] all = new LayerMoments[measurements.size()];
        workers.forEach(all.length, i -> all[i] = ruled.containsKey(i) ? ruled.get(i) : read(i));
        profile.add("reading moments", System.nanoTime() - start, 0, 0);
        List<LayerMoments> results = List.of(all);
        for (int i = 0; i < all.length; i++) {
            Moments m = all[i].moments();
            for (int c = 0; c < m.channels(); c++) {
                if (!Float.isFinite(m.delta()[c])) {
                    throw notFinite(i, "channel " + c, m.delta()[c]);
                }
            }
            if (m.errors().isPresent() && !Double.isFinite(m.measured().mseBefore())) {
                throw notFinite(i, "mean squared error", m.measured().mseBefore());
            }
        }
        return results;
    }

    private UnsupportedException notFinite(int layer, String what, double value) {
        return new UnsupportedException("layer '" + plan.layers().get(layer).name() + "', " + what
                + ": its outputs on these samples are not finite (" + value
                + "): check the models' weights and the samples' scale");
    }

    /**
     * The segment at work, and the ones before and behind it: with several threads, who has no batch left closes the
     * one and prepares the other while others are still at work.
     */
    private final class Segments implements AutoCloseable {
        private Optional<Segment> before = Optional.empty();
        private Optional<Segment> current = Optional.empty();
        private Optional<Segment> next = Optional.empty();

        /** Goes on to the segment with that number. */
        Segment take(int number) {
            before = current;
            current = Optional.empty();
            if (device.batches().threads() == 1) {
                closeBefore();
            }
            current = next.isPresent() ? next : Optional.of(segment(number));
            next = Optional.empty();
            current.get().prepareAdjusted();
            return current.get();
        }

        void meanwhile(int number) {
            if (device.batches().threads() > 1) {
                closeBefore();
                if (number < plan.segments().size()) {
                    next = Optional.of(segment(number));
                }
            }
        }

        private void closeBefore() {
            Optional<Segment> last = before;
            before = Optional.empty();
            last.ifPresent(Segment::close);
        }

        private Segment segment(int number) {
            long start = System.nanoTime();
            Segment prepared = new Segment(plan.segments().get(number));
            profile.add("preparing operations", System.nanoTime() - start, 0, 0);
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

    /** A segment's operations, prepared. */
    private final class Segment implements AutoCloseable {
        private final Plan.Segment segment;
        private final List<Optional<PreparedStep>> prepared = new ArrayList<>();
        private final Set<Integer> used = new HashSet<>();

        Segment(Plan.Segment segment) {
            this.segment = segment;
            try {
                for (int i = 0; i < segment.steps().size(); i++) {
                    Step step = segment.steps().get(i);
                    used.addAll(step.uses());
                    if (step instanceof Step.Run run) {
                        prepared.add(waits(run) ? Optional.empty() : Optional.of(prepare(run)));
                    } else {
                        prepared.add(Optional.empty());
                    }
                }
            } catch (RuntimeException | Error e) {
                close();
                throw e;
            }
        }

        /** Whether an operation's weights are chosen anew: it is prepared once they are. */
        private boolean waits(Step.Run run) {
            return run.operands().stream()
                    .anyMatch(o -> o instanceof Operand.Constant c && standIns.contains(c.value()));
        }

        private PreparedStep prepare(Step.Run run) {
            return new PreparedStep(device, run, profile);
        }

        /** Prepares the steps whose weights were not chosen yet when the others were prepared. */
        void prepareAdjusted() {
            for (int i = 0; i < prepared.size(); i++) {
                if (prepared.get(i).isEmpty() && segment.steps().get(i) instanceof Step.Run run) {
                    prepared.set(i, Optional.of(prepare(run.with(adjusted))));
                }
            }
        }

        void run(int batch) {
            long start = System.nanoTime();
            Tensor[] tensors = frontier.take(batch, used);
            frontier.readAhead(batch + device.batches().threads(), used);
            spent("bringing tensors back", start, 0);
            for (int i = 0; i < segment.steps().size(); i++) {
                Step step = segment.steps().get(i);
                if (step instanceof Step.Measure measure) {
                    measure(measure, tensors, batch);
                } else {
                    prepared.get(i).orElseThrow().run(tensors, shared);
                }
                for (int released : segment.releases().get(i)) {
                    tensors[released].close();
                    tensors[released] = null;
                }
            }
            start = System.nanoTime();
            frontier.rest(batch);
            spent("putting tensors away", start, 0);
        }

        /** What a batch's errors are added to. */
        private Measurement of(int layer, int batch) {
            return batch < correcting || heldOut.isEmpty() ? measurements.get(layer) : heldOut.get(layer);
        }

        /** A batch's number among those that are added to the same. */
        private int numbered(int batch) {
            return batch < correcting || heldOut.isEmpty() ? batch : batch - correcting;
        }

        private void spent(String work, long start, long bytes) {
            profile.add(work, System.nanoTime() - start, bytes, 0);
        }

        private void measure(Step.Measure step, Tensor[] tensors, int batch) {
            List<Tensor> measured = step.tensors().stream().map(t -> tensors[t]).toList();
            long start = System.nanoTime();
            try {
                of(step.layer(), batch).add(step.role(), measured, numbered(batch), frontier.samples(batch));
            } catch (UnsupportedException e) {
                throw new UnsupportedException(
                        "layer '" + plan.layers().get(step.layer()).name() + "': " + e.getMessage(), e);
            }
            long bytes = measured.stream().mapToLong(Tensor::bytes).sum();
            spent(step.role() == Role.OUTPUTS ? "error sums" : "input sums", start, bytes);
        }

        @Override
        public void close() {
            Resources all = new Resources();
            prepared.forEach(p -> p.ifPresent(step -> all.add(step::close)));
            all.close();
        }
    }

    /** Frees all tensors and moments that are left. */
    @Override
    public void close() {
        Resources all = new Resources();
        measurements.forEach(m -> all.add(m::close));
        heldOut.forEach(m -> all.add(m::close));
        ruledBiases.forEach(t -> all.add(t::close));
        all.add(frontier::close);
        all.close();
    }
}
