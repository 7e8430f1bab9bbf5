package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.ErrorMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.LayerPair;
import dev.rebias.op.LayerOp;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;

/**
 * Runs a plan: segment by segment, and in each segment batch by batch. A batch's tensors that a later segment needs wait at the barrier (the
 * frontier); the corrections found there are added to them, in place, when the batch comes by again. So every step runs once per batch.
 */
public final class Sweep implements AutoCloseable {
    private final Plan plan;
    private final Device device;
    private final List<ErrorMoments> moments = new ArrayList<>();
    /** For every batch, its tensors by number; null where there is none (any more). */
    private final List<Tensor[]> frontier = new ArrayList<>();
    /** For every batch, how many samples it has. */
    private final List<Integer> sizes = new ArrayList<>();

    /**
     * Prepares a sweep.
     *
     * @param steps for each layer of the plan, the steps of its bias, or none ({@link Device#errorMoments})
     */
    public Sweep(Plan plan, Device device, List<float[]> steps) {
        this.plan = plan;
        this.device = device;
        for (int i = 0; i < plan.layers().size(); i++) {
            LayerPair pair = plan.layers().get(i);
            moments.add(
                    device.errorMoments(pair.quantized().bias(), pair.floating().bias(), steps.get(i)));
        }
    }

    /**
     * Sweeps all samples.
     *
     * @return for each layer of the plan, its error statistics and its correction
     * @throws UnsupportedException if a model cannot be run on these samples, or computes values that are not numbers
     */
    public List<Moments> run(BoundSamples samples, int batchSize, SweepListener listener) {
        int batches = (samples.count() + batchSize - 1) / batchSize;
        long total = (long) batches * plan.segments().size();
        for (int k = 0; k < plan.segments().size(); k++) {
            Plan.Segment segment = plan.segments().get(k);
            try (Segment prepared = new Segment(segment)) {
                if (k == 0) {
                    try (Batches source = samples.batches(batchSize)) {
                        while (source.hasNext()) {
                            enter(source.next());
                            prepared.run(frontier.size() - 1);
                            listener.progress(frontier.size(), total);
                        }
                    }
                } else {
                    for (int b = 0; b < frontier.size(); b++) {
                        correct(plan.segments().get(k - 1), b);
                        prepared.run(b);
                        listener.progress((long) k * batches + b + 1, total);
                    }
                }
            }
            segment.solved().forEach(s -> moments.get(s.layer()).solve());
        }
        return read();
    }

    private void enter(List<HostTensor> batch) {
        Tensor[] tensors = new Tensor[plan.tensors()];
        frontier.add(tensors);
        sizes.add(Math.toIntExact(batch.get(0).shape()[0]));
        for (int i = 0; i < batch.size(); i++) {
            tensors[plan.inputs().get(i)] = device.upload(batch.get(i));
        }
    }

    private void correct(Plan.Segment before, int batch) {
        for (Plan.Solved solved : before.solved()) {
            if (solved.output() >= 0) {
                Tensor output = frontier.get(batch)[solved.output()];
                moments.get(solved.layer()).correct(output, channelAxis(solved.layer(), output));
            }
        }
    }

    private int channelAxis(int layer, Tensor output) {
        LayerOp op = plan.layers().get(layer).quantized().op();
        return op.channelAxis(output.shape().length);
    }

    private List<Moments> read() {
        List<Moments> results = new ArrayList<>();
        for (int i = 0; i < moments.size(); i++) {
            Moments m = moments.get(i).read();
            for (int c = 0; c < m.channels(); c++) {
                if (!Float.isFinite(m.delta()[c]) || !Double.isFinite(m.squaredError()[c])) {
                    throw new UnsupportedException(
                            "layer '" + plan.layers().get(i).name() + "', channel " + c
                                    + ": its outputs on these samples are not finite (" + m.delta()[c]
                                    + "): check the models' weights and the samples' scale");
                }
            }
            results.add(m);
        }
        return results;
    }

    /** A segment's operations, prepared while its batches run. */
    private final class Segment implements AutoCloseable {
        private final Plan.Segment segment;
        private final IdentityHashMap<Step, PreparedOp> prepared = new IdentityHashMap<>();

        Segment(Plan.Segment segment) {
            this.segment = segment;
        }

        void run(int batch) {
            Tensor[] tensors = frontier.get(batch);
            for (int i = 0; i < segment.steps().size(); i++) {
                Step step = segment.steps().get(i);
                if (step instanceof Step.Run run) {
                    run(run, tensors);
                } else if (step instanceof Step.Measure measure) {
                    measure(measure, tensors, sizes.get(batch));
                }
                for (int released : segment.releases().get(i)) {
                    tensors[released].close();
                    tensors[released] = null;
                }
            }
        }

        private void run(Step.Run step, Tensor[] tensors) {
            List<Tensor> inputs = step.inputs().stream().map(i -> tensors[i]).toList();
            List<Tensor> outputs;
            try {
                outputs = prepared.computeIfAbsent(step, s -> device.prepare(step.op(), step.operands()))
                        .run(inputs);
            } catch (UnsupportedException e) {
                throw new UnsupportedException(step.name() + ": " + e.getMessage(), e);
            }
            for (int i = 0; i < outputs.size(); i++) {
                tensors[step.outputs().get(i)] = outputs.get(i);
            }
        }

        private void measure(Step.Measure step, Tensor[] tensors, int samples) {
            Tensor output = tensors[step.output()];
            Tensor compared = tensors[step.compared()];
            LayerPair pair = plan.layers().get(step.layer());
            if (!Arrays.equals(output.shape(), compared.shape())) {
                throw new UnsupportedException("layer '" + pair.name() + "' has outputs of shape "
                        + Shape.text(output.shape()) + ", but " + Shape.text(compared.shape())
                        + " in the float model: the two models do not belong together");
            }
            ErrorMoments to = moments.get(step.layer());
            int axis = channelAxis(step.layer(), output);
            if (plan.reference() == Reference.LAYER) {
                to.addError(compared, output, axis, samples);
            } else {
                to.addOutputs(compared, output, axis, samples);
            }
        }

        @Override
        public void close() {
            prepared.values().forEach(PreparedOp::close);
        }
    }

    /** Frees all tensors and moments that are left. */
    @Override
    public void close() {
        for (Tensor[] tensors : frontier) {
            for (Tensor tensor : tensors) {
                if (tensor != null) {
                    tensor.close();
                }
            }
        }
        frontier.clear();
        moments.forEach(ErrorMoments::close);
    }
}
