package dev.rebias.device;

import dev.rebias.op.BiasGrid;
import dev.rebias.op.Op;
import dev.rebias.tensor.HostTensor;
import java.util.List;

/**
 * Something that holds tensors and runs operations on them. Calls may return before the device has done the work; whatever reads a result
 * on the host waits for it. Closing a device frees all that is left on it.
 */
public interface Device extends Preferences, AutoCloseable {
    DeviceInfo info();

    /** How many threads may work on batches of their own at once; 1 where a session is for one thread. */
    int threads();

    /** How many samples a batch has where nobody says how many. */
    default int usualBatchSize() {
        return 32;
    }

    /** The bytes of tensors that may be here where nobody sets a limit: beyond that, those that wait go elsewhere, so that what is worked on finds room. */
    default long waitingBytes() {
        return Long.MAX_VALUE;
    }

    /**
     * The batch size that suits the device.
     *
     * @param wanted the most samples that a batch may have
     * @param outputBytes the size of what a layer makes of one sample, on average
     * @return from 1 to wanted
     */
    int batchSize(int wanted, long outputBytes);

    /** How many bytes a tensor may have, however much memory there is. */
    long mostTensorBytes();

    /** Copies a tensor to the device; when this returns, the host may write to its own again. */
    Tensor upload(HostTensor values);

    /** Copies a tensor's values to the host. */
    HostTensor download(Tensor tensor);

    /** Says that a tensor will wait for a while: it should take no more memory than its elements need. */
    void settle(Tensor tensor);

    /** A tensor's elements for a place elsewhere, from which the tensor can be made again. The tensor stays the caller's to close. */
    default Parked park(Tensor tensor) {
        return new Parked(download(tensor), true, this::upload);
    }

    /** Says what will be prepared: a device that compiles something for operations may begin with it, and goes on while this returns. */
    default void expect(List<Upcoming> operations) {
        // Nothing needs to be compiled.
    }

    /**
     * Makes an operation ready to run.
     *
     * @param operands for a {@link dev.rebias.op.LayerOp} data (variable), weights (constant) and bias (constant [channels] or
     *     absent); for an {@link dev.rebias.op.IntegerLayer} as it says there; for an {@link
     *     dev.rebias.op.ElementwiseGroup} the group's; for a {@link dev.rebias.op.LayerGroup} as it says there; for an {@link dev.rebias.op.OnnxOp} its inputs, then its captures
     * @throws dev.rebias.error.UnsupportedException if the device cannot run it
     */
    PreparedOp prepare(Op op, List<Operand> operands);

    /**
     * A new accumulator of a layer's errors.
     *
     * @param bias the quantised layer's bias before the correction, one value per output channel
     * @param referenceBias the float layer's bias
     * @param grid the values that the layer's bias can take in its file
     */
    ErrorMoments errorMoments(double[] bias, double[] referenceBias, BiasGrid grid);

    /**
     * A new accumulator of what a layer's weights meet, where only the mean error is wanted. Parameters as for {@link #errorMoments}.
     *
     * @param weights by how much the weights are off; where the data are integers, so are those that it is given
     */
    InputMoments inputMoments(double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights);

    /**
     * A new accumulator of what a layer's weights meet in both networks, where only the mean error is wanted, on a device of which {@link #prefersJointMoments} holds. Parameters as for {@link #inputMoments}.
     */
    default JointInputMoments jointMoments(double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights) {
        throw new IllegalStateException("this device computes every error");
    }

    /**
     * A new accumulator of what a layer's weights meet, from which also the squares of the errors follow; for layers of which {@link #prefersInputSquares} holds.
     * Parameters as for {@link #inputMoments}.
     *
     * @param perSample whether the means within single samples are wanted, as statistics of single channels need them
     */
    default InputMoments inputSquares(
            double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights, boolean perSample) {
        throw new IllegalStateException("this device computes every error");
    }

    /** A new accumulator of what a layer's weights meet in both networks, from which also the squares of the errors follow; for layers of which {@link #prefersJointSquares} holds. Parameters as for {@link #inputSquares}. */
    default JointInputSquares jointSquares(
            double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights, boolean perSample) {
        throw new IllegalStateException("this device computes every error");
    }

    Transfers transfers();

    /** What the user should know about how the work was done here, one sentence each: operations that ran elsewhere than on the device. */
    List<String> warnings();

    /** The bytes of the tensors that are alive now. */
    long usedBytes();

    /** The most bytes of tensors that have been alive at once. */
    long peakBytes();

    /** Makes {@link #peakBytes()} count from here on. */
    void forgetPeak();

    @Override
    void close();
}
