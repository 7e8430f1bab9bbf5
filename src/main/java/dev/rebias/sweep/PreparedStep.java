package dev.rebias.sweep;

import dev.rebias.device.Device;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** A step that runs an operation, prepared on a device. Several threads may run it at once. */
final class PreparedStep implements AutoCloseable {
    private final Step.Run step;
    private final PreparedOp op;
    private final Profile.Counter counter;
    private final Optional<Step.LayerRun> layer;

    /**
     * Prepares a step.
     *
     * @throws UnsupportedException if the device cannot run it
     */
    PreparedStep(Device device, Step.Run step, Profile profile) {
        this.step = step;
        this.counter = profile.counter(step.work());
        this.layer = step.layer();
        this.op = named(() -> device.prepare(step.op(), step.operands()));
    }

    private <T> T named(Supplier<T> work) {
        try {
            return work.get();
        } catch (UnsupportedException e) {
            throw new UnsupportedException(step.name() + ": " + e.getMessage(), e);
        }
    }

    /**
     * Runs it.
     *
     * @param tensors a batch's, by number: those that it uses, and places for those that it makes
     * @param shared the tensors that are the same for all batches, by number
     */
    void run(Tensor[] tensors, Tensor[] shared) {
        long start = System.nanoTime();
        List<Tensor> inputs = new ArrayList<>(step.inputs().size());
        long bytes = 0;
        for (int i : step.inputs()) {
            Tensor input = shared[i] == null ? tensors[i] : shared[i];
            inputs.add(input);
            bytes += input.bytes();
        }
        long[] data = layer.map(of -> inputs.get(of.data()).shape()).orElse(new long[0]);
        List<Tensor> outputs = named(() -> op.run(inputs));
        long multiplications =
                layer.map(of -> of.op().multiplications(data, of.weights())).orElse(0L);
        for (int i = 0; i < outputs.size(); i++) {
            tensors[step.outputs().get(i)] = outputs.get(i);
            bytes += outputs.get(i).bytes();
        }
        counter.add(System.nanoTime() - start, bytes, multiplications);
    }

    @Override
    public void close() {
        op.close();
    }
}
