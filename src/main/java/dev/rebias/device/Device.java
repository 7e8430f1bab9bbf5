package dev.rebias.device;

import dev.rebias.op.LayerOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.List;
import java.util.Optional;

/**
 * Something that holds tensors and runs operations on them. Calls may return before the device has done the work;
 * whatever reads a result on the host waits for it. Closing a device frees all that is left on it.
 */
public interface Device extends Preferences, AutoCloseable {
    DeviceInfo info();

    /** The batches that suit it. */
    BatchSizes batches();

    DeviceMemory memory();

    /**
     * Copies a tensor to the device; when this returns, the host may write to its own again. Where bytes stand for the
     * values, a device that is far away takes these, and makes floats of them itself.
     */
    Tensor upload(HostValues values);

    /** Copies a tensor's values to the host. */
    HostTensor download(Tensor tensor);

    /**
     * A tensor's elements for a place elsewhere, from which the tensor can be made again. The tensor stays the caller's
     * to close.
     */
    default Parked park(Tensor tensor) {
        return new Parked(download(tensor), true, this::upload);
    }

    /**
     * Says what will be prepared: a device that compiles something for operations may begin with it, and goes on while
     * this returns.
     */
    default void expect(List<Upcoming> operations) {
        // Nothing needs to be compiled.
    }

    /**
     * Makes an operation ready to run.
     *
     * @param operands for a {@link dev.rebias.op.LayerOp} data (variable), weights (constant) and bias (constant
     *     [channels] or absent); for an {@link dev.rebias.op.IntegerLayer} as it says there; for an
     *     {@link dev.rebias.op.ElementwiseGroup} the group's; for a {@link dev.rebias.op.LayerGroup} as it says there;
     *     for an {@link dev.rebias.op.OnnxOp} its inputs, then its captures
     * @throws dev.rebias.error.UnsupportedException if the device cannot run it
     */
    PreparedOp prepare(Op op, List<Operand> operands);

    /**
     * New sums of a layer's errors.
     *
     * @param op the layer's, which says along which axis of its output channels lie
     * @param difference whether the first tensors are the float layer's output and the error is the difference of both,
     *     instead of the error itself
     * @param perSample whether the means within samples are wanted too
     */
    ErrorSums errorSums(LayerOp op, int channels, boolean difference, boolean perSample);

    /**
     * New sums of a layer's errors, computed from the layer's input as it comes. They take the input, as integers; or
     * the float layer's output without its bias, and then the input.
     *
     * @param joint whether the error is the difference from the float layer's output
     * @param perSample whether the means within samples are wanted too
     * @return empty where the device never {@linkplain #prefers prefers} {@link Method#ERRORS_OF_INPUT} of such a layer
     */
    default Optional<ErrorSums> inputErrorSums(WeightError layer, boolean joint, boolean perSample) {
        return Optional.empty();
    }

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
     * New sums of products of two columns of a layer's input, which only a device makes that has a use for them.
     *
     * @param layer a pointwise convolution of one group on 8-bit integers
     * @param joint whether the float layer has an input of its own
     * @param perSample whether the squared means within single samples are wanted
     * @return empty where the device never {@linkplain #prefers prefers} {@link Method#GRAM}
     */
    default Optional<Gram> gram(WeightError layer, boolean joint, boolean perSample) {
        return Optional.empty();
    }

    /**
     * New sums of products of two elements of a layer's unfolded input.
     *
     * @param layer any but a Gemm whose data are transposed
     * @param joint whether the float layer has an input of its own
     */
    UnfoldedSums unfoldedSums(WeightError layer, boolean joint);

    /** What it has done so far. */
    DeviceLog log();

    @Override
    void close();
}
