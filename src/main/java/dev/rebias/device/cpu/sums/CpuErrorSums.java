package dev.rebias.device.cpu.sums;

import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.LayerOp;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * Error sums in Java loops: one pass over both tensors, channels last. A sample is one unit of work: its sums are
 * formed on their own, in memory order, and added to exact totals.
 */
public final class CpuErrorSums implements ErrorSums {
    private final CpuContext context;
    private final int channels;
    private final LayerOp op;
    private final boolean difference;
    private final ErrorTotals totals;

    /** Parameters as for {@link dev.rebias.device.Device#errorSums}. */
    public CpuErrorSums(CpuContext context, LayerOp op, int channels, boolean difference, boolean perSample) {
        this.context = context;
        this.channels = channels;
        this.op = op;
        this.difference = difference;
        this.totals = new ErrorTotals(channels, perSample);
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        Tensor first = tensors.get(0);
        Tensor output = tensors.get(1);
        long[] shape = output.shape();
        int axis = op.channelAxis(shape.length);
        if (!Arrays.equals(first.shape(), shape) || shape[axis] != channels) {
            throw new IllegalArgumentException("error sums over " + channels + " channels along axis " + axis
                    + " got tensors of shape " + Shape.text(first.shape()) + " and " + Shape.text(shape));
        }
        int units = ErrorTotals.units(shape[0], samples);
        Layout layout = axis == shape.length - 1 ? Layout.PLAIN : Layout.CHANNELS_LAST;
        double[][][] sums = new double[units][][];
        int perUnit = Math.toIntExact(Shape.elements(shape) / units);
        try (CpuTensor a = context.layouts().in(layout, (CpuTensor) first);
                CpuTensor q = context.layouts().in(layout, (CpuTensor) output)) {
            FloatBuffer x = a.floats();
            FloatBuffer y = q.floats();
            for (int unit = 0; unit < units; unit++) {
                sums[unit] = sums(x, y, unit * perUnit, perUnit);
            }
        }
        synchronized (totals) {
            totals.add(sums, perUnit / channels, samples);
        }
    }

    /** The sums of the elements [first, first + n), channels last. */
    private double[][] sums(FloatBuffer first, FloatBuffer output, int at, int n) {
        double[][] sums = new ChannelSums(context.scratch(), channels, first, output, difference ? -1 : 1).of(at, n);
        // What was given is the error, or with a difference the float layer's output.
        return difference ? new double[][] {sums[2], sums[3], sums[0], sums[1]} : sums;
    }

    @Override
    public ErrorTotals totals() {
        return totals;
    }

    @Override
    public void close() {
        // Nothing but Java's own memory.
    }
}
