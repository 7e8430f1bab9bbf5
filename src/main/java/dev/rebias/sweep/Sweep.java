package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.ErrorMoments;
import dev.rebias.device.InputMoments;
import dev.rebias.device.JointInputMoments;
import dev.rebias.device.JointInputSquares;
import dev.rebias.device.Measurement;
import dev.rebias.device.Moments;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.LayerPair;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.LayerOp;
import dev.rebias.op.ShapeRules;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs a plan: segment by segment, and in each segment batch by batch, several at once where the device lets several threads work. A batch's tensors that a later segment needs wait at the barrier (the
 * {@link Frontier}), and are given the corrections found there when the batch comes by again. So every step runs once per batch.
 */
public final class Sweep implements AutoCloseable {
    private final Plan plan;
    private final boolean perChannel;
    private final Device device;
    private final List<Measurement> moments = new ArrayList<>();
    private final Frontier frontier;
    private final Profile profile = new Profile();
    /** The shapes of the float layers' data in the first batch, where they go ahead. */
    private final long[][] referenceShapes;
    /** Why samples could not be read. */
    private Optional<RuntimeException> unreadable = Optional.empty();
    /** The tensors that are the same for all batches, by number: corrected biases, which belong to the error moments. */
    private final Tensor[] shared;

    /**
     * Prepares a sweep.
     *
     * @param grids for each layer of the plan, the values that its bias can take in its file
     * @param perChannel whether statistics of single channels are wanted
     * @param memoryLimit the bytes of tensors beyond which batches that wait at a barrier go to a temporary file
     */
    public Sweep(Plan plan, Device device, List<BiasGrid> grids, boolean perChannel, long memoryLimit) {
        this.plan = plan;
        this.perChannel = perChannel;
        this.device = device;
        this.shared = new Tensor[plan.tensors()];
        this.referenceShapes = new long[plan.layers().size()][];
        this.frontier = new Frontier(device, memoryLimit);
        try {
            for (int i = 0; i < plan.layers().size(); i++) {
                moments.add(measurement(i, grids.get(i)));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private Measurement measurement(int layer, BiasGrid grid) {
        LayerPair pair = plan.layers().get(layer);
        double[] bias = pair.quantized().bias();
        double[] referenceBias = pair.floating().bias();
        WeightError weights = plan.measured().get(layer).weights();
        boolean joint = plan.reference() == Reference.NETWORK;
        return switch (plan.measured().get(layer).method()) {
            case ERRORS -> device.errorMoments(bias, referenceBias, grid);
            case INPUT_MEANS ->
                joint
                        ? device.jointMoments(bias, referenceBias, grid, weights)
                        : device.inputMoments(bias, referenceBias, grid, weights);
            case INPUT_SQUARES ->
                joint
                        ? device.jointSquares(bias, referenceBias, grid, weights, perChannel)
                        : device.inputSquares(bias, referenceBias, grid, weights, perChannel);
        };
    }

    /**
     * Sweeps all samples.
     *
     * @return for each layer of the plan, its error statistics and its correction
     * @throws UnsupportedException if a model cannot be run on these samples, or computes values that are not numbers
     */
    public List<Moments> run(BoundSamples samples, int batchSize, SweepListener listener) {
        int batches = samples.batchCount(batchSize);
        long total = (long) batches * plan.segments().size();
        AtomicLong done = new AtomicLong();
        try (Batches source = samples.batches(batchSize);
                Workers workers = new Workers(device.threads());
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
                            if (first) {
                                // One batch ahead, so that its way to the device and the work on the one before
                                // can overlap.
                                enter(source, b + 2);
                            }
                            prepared.run(b);
                            synchronized (done) {
                                listener.progress(done.incrementAndGet(), total);
                            }
                        },
                        () -> segments.meanwhile(next));
                long start = System.nanoTime();
                plan.segments().get(k).solved().forEach(this::solve);
                profile.add("solving", System.nanoTime() - start, 0, 0);
            }
            return read(workers);
        }
    }

    /**
     * Takes one batch through all segments and tells what memory that takes. The corrections found on the way are this batch's own; nothing of them is read.
     *
     * @param samples of which the first batch is used
     */
    public Footprint footprint(BoundSamples samples, int batchSize) {
        List<Footprint.Segment> segments = new ArrayList<>();
        int size = Math.min(batchSize, samples.count());
        try (Batches source = samples.batches(size)) {
            for (Plan.Segment planned : plan.segments()) {
                try (Segment prepared = new Segment(planned)) {
                    long arriving = segments.isEmpty() ? 0 : frontier.bytes(0);
                    long others = device.usedBytes() - arriving;
                    enter(source, 1);
                    device.forgetPeak();
                    prepared.run(0);
                    segments.add(new Footprint.Segment(
                            planned.steps().size(),
                            planned.solved().stream()
                                    .map(s -> plan.layers().get(s.layer()).name())
                                    .toList(),
                            others,
                            arriving,
                            device.peakBytes() - others,
                            frontier.bytes(0)));
                }
                planned.solved().forEach(this::solve);
            }
        }
        return new Footprint(size, device.threads(), segments);
    }

    /** Brings batches to the device until that many have come, or all. Where that has failed, whoever asks next is told the same. */
    private synchronized void enter(Batches source, int wanted) {
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

    private void enter(Batches source) {
        long start = System.nanoTime();
        List<HostTensor> batch = source.next();
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

    private void solve(Plan.Solved solved) {
        Measurement m = moments.get(solved.layer());
        m.solve();
        if (solved.bias() >= 0) {
            long[] shape = plan.layers().get(solved.layer()).quantized().biasShape();
            shared[solved.bias()] = m.correctedBias(shape);
        }
    }

    private int channelAxis(int layer, Tensor output) {
        LayerOp op = plan.layers().get(layer).quantized().op();
        return op.channelAxis(output.shape().length);
    }

    private List<Moments> read(Workers workers) {
        long start = System.nanoTime();
        Moments[] all = new Moments[moments.size()];
        workers.forEach(all.length, i -> {
            Moments m = moments.get(i).read(perChannel);
            all[i] = plan.errors() ? m : m.withoutErrors();
        });
        profile.add("reading moments", System.nanoTime() - start, 0, 0);
        List<Moments> results = List.of(all);
        for (int i = 0; i < all.length; i++) {
            Moments m = all[i];
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

    /** The segment at work, and the ones before and behind it: with several threads, who has no batch left closes the one and prepares the other while others are still at work. */
    private final class Segments implements AutoCloseable {
        private Optional<Segment> before = Optional.empty();
        private Optional<Segment> current = Optional.empty();
        private Optional<Segment> next = Optional.empty();

        /** Goes on to the segment with that number. */
        Segment take(int number) {
            before = current;
            current = Optional.empty();
            if (device.threads() == 1) {
                closeBefore();
            }
            current = next.isPresent() ? next : Optional.of(segment(number));
            next = Optional.empty();
            return current.get();
        }

        void meanwhile(int number) {
            if (device.threads() > 1) {
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
        private final List<Integer> made = new ArrayList<>();
        private final Set<Integer> used = new HashSet<>();

        Segment(Plan.Segment segment) {
            this.segment = segment;
            try {
                for (int i = 0; i < segment.steps().size(); i++) {
                    Step step = segment.steps().get(i);
                    used.addAll(step.uses());
                    if (step instanceof Step.Run run) {
                        made.addAll(run.outputs());
                        prepared.add(Optional.of(
                                new PreparedStep(device, run, segment.releases().get(i), profile)));
                    } else {
                        prepared.add(Optional.empty());
                    }
                }
            } catch (RuntimeException | Error e) {
                close();
                throw e;
            }
        }

        void run(int batch) {
            long start = System.nanoTime();
            Tensor[] tensors = frontier.take(batch, used);
            frontier.readAhead(batch + device.threads(), used);
            spent("bringing tensors back", start, 0);
            for (int i = 0; i < segment.steps().size(); i++) {
                Step step = segment.steps().get(i);
                if (step instanceof Step.Measure measure) {
                    measure(measure, tensors, batch);
                } else if (step instanceof Step.MeasureInput measure) {
                    measure(measure, tensors, batch);
                } else if (step instanceof Step.MeasureReference measure) {
                    measure(measure, tensors, batch);
                } else if (step instanceof Step.MeasureInputs measure) {
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
            frontier.rest(batch, made);
            spent("putting tensors away", start, 0);
        }

        private void spent(String work, long start, long bytes) {
            profile.add(work, System.nanoTime() - start, bytes, 0);
        }

        private void measure(Step.MeasureInput step, Tensor[] tensors, int batch) {
            Tensor data = tensors[step.data()];
            requireFitting(step.layer(), data);
            // All batches' samples are of one shape.
            if (batch == 0 && referenceShapes[step.layer()] != null) {
                requireAlike(step.layer(), "inputs", data.shape(), referenceShapes[step.layer()]);
            }
            long start = System.nanoTime();
            ((InputMoments) moments.get(step.layer())).addInput(data, batch, frontier.samples(batch));
            spent("input moments", start, data.bytes());
        }

        private void measure(Step.MeasureReference step, Tensor[] tensors, int batch) {
            Tensor data = tensors[step.data()];
            requireFloats(step.layer(), data);
            long start = System.nanoTime();
            ((JointInputMoments) moments.get(step.layer())).addReference(data, batch, frontier.samples(batch));
            if (batch == 0) {
                referenceShapes[step.layer()] = data.shape();
            }
            spent("input moments", start, data.bytes());
        }

        private void measure(Step.MeasureInputs step, Tensor[] tensors, int batch) {
            Tensor data = tensors[step.data()];
            Tensor reference = tensors[step.reference()];
            requireFitting(step.layer(), data);
            requireFloats(step.layer(), reference);
            requireAlike(step.layer(), "inputs", data.shape(), reference.shape());
            long start = System.nanoTime();
            ((JointInputSquares) moments.get(step.layer())).addInputs(reference, data, batch, frontier.samples(batch));
            spent("input moments", start, data.bytes() + reference.bytes());
        }

        /** What only measures a layer's data is as particular about them as the layer. */
        private void requireFitting(int layer, Tensor data) {
            WeightError weights = plan.measured().get(layer).weights();
            requireFitting(layer, data, weights.dataType().orElse(ElementType.FLOAT));
        }

        private void requireFloats(int layer, Tensor data) {
            requireFitting(layer, data, ElementType.FLOAT);
        }

        private void requireFitting(int layer, Tensor data, ElementType type) {
            WeightError weights = plan.measured().get(layer).weights();
            try {
                ShapeRules.checkLayer(
                        weights.op(), type, data.type(), data.shape(), weights.shape(), device.mostTensorBytes());
            } catch (UnsupportedException e) {
                throw new UnsupportedException(
                        "layer '" + plan.layers().get(layer).name() + "': " + e.getMessage(), e);
            }
        }

        private void requireAlike(int layer, String what, long[] quantized, long[] floating) {
            if (!Arrays.equals(quantized, floating)) {
                throw new UnsupportedException(
                        "layer '" + plan.layers().get(layer).name() + "' has " + what
                                + " of shape " + Shape.text(quantized) + ", but " + Shape.text(floating)
                                + " in the float model: the two models do not belong together");
            }
        }

        private void measure(Step.Measure step, Tensor[] tensors, int batch) {
            Tensor output = tensors[step.output()];
            Tensor compared = tensors[step.compared()];
            requireAlike(step.layer(), "outputs", output.shape(), compared.shape());
            ErrorMoments to = (ErrorMoments) moments.get(step.layer());
            int axis = channelAxis(step.layer(), output);
            long start = System.nanoTime();
            if (plan.reference() == Reference.LAYER) {
                to.addError(compared, output, axis, batch, frontier.samples(batch));
            } else {
                to.addOutputs(compared, output, axis, batch, frontier.samples(batch));
            }
            spent("error moments", start, output.bytes() + compared.bytes());
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
        moments.forEach(m -> all.add(m::close));
        all.add(frontier::close);
        all.close();
    }
}
