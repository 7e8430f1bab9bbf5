package dev.rebias.device.cpu.sums;

import dev.rebias.device.Resources;
import dev.rebias.device.UnfoldedTotals;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.memory.NativeMemory;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.Layouts;
import dev.rebias.op.Unfolding;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Products of rows of layers whose groups have several input channels: rows are collected, and multiplied by oneDNN as
 * matrices of floats.
 */
final class DenseProducts implements RowProducts {
    private final CpuContext context;
    private final Unfolding unfolding;
    private final boolean joint;
    private final UnfoldedTotals to;
    private final int length;
    private final int outputs;
    private final Resources owned = new Resources();
    /** One group's rows of p, then of v: [ROWS, length]. */
    private final BytePointer[] rows;

    private final BytePointer result;
    /** The float layer's weights, for each group [length, channels of the group]. */
    private final BytePointer[] references;

    private final float[][] tiles;
    private final float[] read;
    private int filled;

    DenseProducts(CpuContext context, WeightError layer, Unfolding unfolding, boolean joint, UnfoldedTotals to) {
        this.context = context;
        this.unfolding = unfolding;
        this.joint = joint;
        this.to = to;
        this.length = unfolding.length();
        this.outputs = unfolding.channelsPerGroup();
        this.rows = new BytePointer[(joint ? 2 : 1) * unfolding.groups()];
        this.tiles = new float[rows.length][CpuUnfoldedSums.ROWS * length];
        this.references = new BytePointer[joint ? unfolding.groups() : 0];
        int most = Math.max(length * length, joint ? CpuUnfoldedSums.ROWS * outputs : 0);
        this.read = new float[Math.max(length, Math.min(most, 1 << 14))];
        try {
            this.result = allocate(most);
            for (int i = 0; i < rows.length; i++) {
                rows[i] = allocate(CpuUnfoldedSums.ROWS * length);
            }
            for (int g = 0; g < references.length; g++) {
                references[g] = reference(layer, g);
            }
        } catch (RuntimeException | Error e) {
            owned.close();
            throw e;
        }
    }

    private BytePointer allocate(int floats) {
        BytePointer made = NativeMemory.allocate(
                (long) floats * Float.BYTES, "the second moments of rows of " + length + " elements");
        owned.add(() -> Pointer.free(made));
        return made;
    }

    private BytePointer reference(WeightError layer, int group) {
        float[] matrix = new float[length * outputs];
        for (int c = 0; c < outputs; c++) {
            for (int k = 0; k < length; k++) {
                int at = unfolding.weight(group * outputs + c, k);
                matrix[k * outputs + c] = (float) (layer.reference()[at] / layer.scale());
            }
        }
        BytePointer made = allocate(matrix.length);
        Layouts.floats(made.address(), matrix.length).put(matrix);
        return made;
    }

    @Override
    public void add(Unfolding.Places places, float[] p, float[] v) {
        for (int position = 0; position < places.positions(); position++) {
            for (int i = 0; i < tiles.length; i++) {
                int group = joint ? i / 2 : i;
                copy(joint && i % 2 == 1 ? v : p, group, places, position, tiles[i]);
            }
            if (++filled == CpuUnfoldedSums.ROWS) {
                multiply();
            }
        }
    }

    private void copy(float[] from, int group, Unfolding.Places places, int position, float[] to) {
        int inputs = unfolding.inputs();
        int channels = inputs * unfolding.groups();
        int taps = unfolding.taps();
        int at = filled * length;
        for (int t = 0; t < taps; t++) {
            int source = places.sources().length == 0 ? position : places.sources()[position * taps + t];
            if (source < 0) {
                Arrays.fill(to, at, at + inputs, 0);
            } else {
                System.arraycopy(from, source * channels + group * inputs, to, at, inputs);
            }
            at += inputs;
        }
    }

    @Override
    public void finish() {
        if (filled > 0) {
            for (float[] tile : tiles) {
                Arrays.fill(tile, filled * length, tile.length, 0);
            }
            multiply();
        }
    }

    private void multiply() {
        for (int i = 0; i < rows.length; i++) {
            Layouts.floats(rows[i].address(), tiles[i].length).put(tiles[i]);
        }
        for (int g = 0; g < unfolding.groups(); g++) {
            int p = joint ? 2 * g : g;
            addSums(tiles[p], to.sums()[g]);
            multiply(rows[p], rows[p], to.products()[g]);
            if (joint) {
                addSums(tiles[p + 1], to.differences()[g]);
                multiply(rows[p], rows[p + 1], to.crossed()[g]);
                addOutputs(rows[p + 1], g);
            }
        }
        filled = 0;
    }

    private void addSums(float[] tile, double[] sums) {
        for (int at = 0; at < filled * length; at += length) {
            for (int k = 0; k < length; k++) {
                sums[k] += tile[at + k];
            }
        }
    }

    private void multiply(BytePointer left, BytePointer right, double[] sums) {
        context.products()
                .ofFloats(true, length, CpuUnfoldedSums.ROWS, length)
                .execute(context.scratch(), left.address(), right.address(), result.address());
        FloatBuffer products = Layouts.floats(result.address(), sums.length);
        for (int at = 0; at < sums.length; at += read.length) {
            int n = Math.min(read.length, sums.length - at);
            products.get(at, read, 0, n);
            for (int i = 0; i < n; i++) {
                sums[at + i] += read[i];
            }
        }
    }

    /** Adds u = W_f v and its squares. */
    private void addOutputs(BytePointer v, int group) {
        context.products()
                .ofFloats(false, CpuUnfoldedSums.ROWS, length, outputs)
                .execute(context.scratch(), v.address(), references[group].address(), result.address());
        FloatBuffer products = Layouts.floats(result.address(), (long) CpuUnfoldedSums.ROWS * outputs);
        float[] row = read.length >= outputs ? read : new float[outputs];
        for (int r = 0; r < filled; r++) {
            products.get(r * outputs, row, 0, outputs);
            for (int c = 0; c < outputs; c++) {
                to.references()[group * outputs + c] += row[c];
                to.squares()[group * outputs + c] += (double) row[c] * row[c];
            }
        }
    }

    @Override
    public void close() {
        owned.close();
    }
}
