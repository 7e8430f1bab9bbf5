package dev.rebias.device;

import dev.rebias.op.LayerOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.List;
import java.util.Optional;

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

    /** The same, of values that may be there as bytes: a device that is far away takes them as they are, and makes floats of them itself. */
    default Tensor uploadSamples(HostValues values) {
        return upload(values.tensor());
    }

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
     * New sums of a layer's errors.
     *
     * @param op the layer's, which says along which axis of its output channels lie
     * @param difference whether the first tensors are the float layer's output and the error is the difference of both, instead of the error itself
     */
    ErrorSums errorSums(LayerOp op, int channels, boolean difference);

    /**
     * New sums of a layer's input by class of taps.
     *
     * @param op the layer's
     * @param weights the shape of its weights
     * @param dataType UINT8 or INT8 where the data are integers, else empty
     * @param zero the integers' zero point, which is subtracted, else 0
     */
    ClassSums classSums(LayerOp op, long[] weights, Optional<ElementType> dataType, long zero);

    /**
     * New sums of products of two columns of a layer's input.
     *
     * @param layer a pointwise convolution of one group on 8-bit integers
     * @param joint whether the float layer has an input of its own
     * @param perSample whether the squared means within single samples are wanted
     */
    Gram gram(WeightError layer, boolean joint, boolean perSample);

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
