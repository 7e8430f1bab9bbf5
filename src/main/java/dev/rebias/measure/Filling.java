package dev.rebias.measure;

import dev.rebias.device.Tensor;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Set;

/** One way to fill a measurement. */
interface Filling extends AutoCloseable {
    /** The roles of tensors that it takes. */
    Set<Role> roles();

    /** Adds a batch, as {@link Measurement#add}. */
    void add(Role role, List<Tensor> tensors, int batch, int samples);

    /** Begins to bring the sums to the host; nothing is added any more. */
    void bring();

    /** Waits for the sums. Called once, before what follows. */
    void finish();

    /**
     * Writes what {@link #take} makes the same of, and of other samples' together. Once it is finished.
     *
     * @throws IOException if the output fails
     */
    void write(DataOutput out) throws IOException;

    /**
     * Is of all these samples from now on, and no more of its own only.
     *
     * @param parts what fillings of the same kind have written, one of each part of the samples
     * @throws IOException if they were of another kind, or an input fails
     */
    void take(List<? extends DataInput> parts) throws IOException;

    /** How many samples there were. */
    long samples();

    /** The mean error of every output channel, without the biases' part. */
    double[] meanErrors();

    @Override
    void close();

    /** A filling that also tells how large errors are. */
    interface OfErrors extends Filling {
        Statistics statistics();
    }

    /**
     * What was measured of each output channel, without the biases' part.
     *
     * @param variances of the error over samples and positions; below 0 by rounding only
     * @param referenceMeans of the float layer's output
     * @param referenceSquares the mean of its square
     * @param squaredSampleMeans the mean over samples of (mean of the error within the sample)^2; not a number where
     *     that was not measured
     */
    record Statistics(
            double[] variances, double[] referenceMeans, double[] referenceSquares, double[] squaredSampleMeans) {}
}
