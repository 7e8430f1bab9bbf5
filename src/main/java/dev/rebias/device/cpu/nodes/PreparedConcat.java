package dev.rebias.device.cpu.nodes;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.Attributes;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Concat of floats along the channels, channels last, so that nothing has to be laid out in another way around it;
 * along other axes, and of other types, it goes to ONNX Runtime.
 */
public final class PreparedConcat implements PreparedOp {
    /** How many elements of the output are put together at a time. */
    private static final int TILE = 4096;

    private final CpuContext context;
    private final OnnxOp op;
    private final int operands;
    private final PreparedOp otherwise;

    /**
     * Prepares the operation.
     *
     * @param operands how many there are, constants included
     * @param otherwise what runs all else; becomes this object's to close
     */
    public PreparedConcat(CpuContext context, OnnxOp op, int operands, PreparedOp otherwise) {
        this.context = context;
        this.op = op;
        this.operands = operands;
        this.otherwise = otherwise;
    }

    /** Whether the operation is one of these. */
    public static boolean admits(OnnxOp op) {
        return op.standard() && op.type().equals("Concat");
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        long[] shape = variables.get(0).shape();
        long axis = Attributes.integer(op.node(), "axis", 1);
        boolean alongChannels = shape.length > 2 && (axis < 0 ? axis + shape.length : axis) == 1;
        if (!alongChannels
                || variables.size() != operands
                || variables.stream().anyMatch(t -> t.type() != ElementType.FLOAT || !fits(t.shape(), shape))) {
            return otherwise.run(variables);
        }
        long[] out = shape.clone();
        out[1] = variables.stream().mapToLong(t -> t.shape()[1]).sum();
        CpuTensor y = CpuTensor.allocate(context.memory(), ElementType.FLOAT, Layout.CHANNELS_LAST, out);
        try (Resources laid = new Resources()) {
            List<FloatBuffer> from = new ArrayList<>();
            int[] channels = new int[variables.size()];
            for (int i = 0; i < channels.length; i++) {
                CpuTensor x = context.layouts().in(Layout.CHANNELS_LAST, (CpuTensor) variables.get(i));
                laid.add(x::close);
                from.add(x.floats());
                channels[i] = Math.toIntExact(x.shape()[1]);
            }
            join(from, channels, Math.toIntExact(out[1]), y.floats());
            return List.of(y);
        } catch (RuntimeException | Error e) {
            y.close();
            throw e;
        }
    }

    /** Whether a tensor's shape is that of another in all dimensions but the channels. */
    private static boolean fits(long[] shape, long[] other) {
        boolean fits = shape.length == other.length;
        for (int i = 0; fits && i < shape.length; i++) {
            fits = i == 1 || shape[i] == other[i];
        }
        return fits;
    }

    private void join(List<FloatBuffer> from, int[] channels, int width, FloatBuffer to) {
        int positions = width == 0 ? 0 : to.capacity() / width;
        int together = Math.max(1, TILE / Math.max(1, width));
        float[][] tiles = context.scratch().tiles(2, together * width);
        for (int at = 0; at < positions; at += together) {
            int n = Math.min(together, positions - at);
            int before = 0;
            for (int i = 0; i < channels.length; i++) {
                int c = channels[i];
                from.get(i).get(at * c, tiles[0], 0, n * c);
                for (int p = 0; p < n; p++) {
                    System.arraycopy(tiles[0], p * c, tiles[1], p * width + before, c);
                }
                before += c;
            }
            to.put(at * width, tiles[1], 0, n * width);
        }
    }

    @Override
    public void close() {
        otherwise.close();
    }
}
