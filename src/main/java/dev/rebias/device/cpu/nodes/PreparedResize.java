package dev.rebias.device.cpu.nodes;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Resizing;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Resize and Upsample of images of floats to the nearest neighbour, to a multiple of their size, channels last: whole
 * positions are copied. What interpolates goes to ONNX Runtime, and so do other factors, of which the last bit decides
 * what is nearest.
 */
public final class PreparedResize implements PreparedOp {
    private final CpuContext context;
    private final OnnxOp op;
    private final Optional<float[]> scales;
    private final Optional<long[]> sizes;
    private final PreparedOp otherwise;
    private final Map<ShapeKey, Optional<Resizing>> forms = new ConcurrentHashMap<>();

    /**
     * Prepares the operation.
     *
     * @param otherwise what runs it where it interpolates, or its output's size varies; becomes this object's to close
     */
    public PreparedResize(CpuContext context, OnnxOp op, List<Operand> operands, PreparedOp otherwise) {
        this.context = context;
        this.op = op;
        this.otherwise = otherwise;
        boolean old = op.type().equals("Upsample") || op.opset() < 11;
        this.scales = constant(operands, old ? 1 : 2)
                .filter(t -> t.type() == ElementType.FLOAT)
                .map(HostTensor::toFloats);
        this.sizes = scales.isPresent() || old
                ? Optional.empty()
                : constant(operands, 3)
                        .filter(t -> t.type() == ElementType.INT64)
                        .map(t -> {
                            long[] values = new long[Math.toIntExact(t.elements())];
                            t.longs().get(values);
                            return values;
                        });
    }

    /** Whether the operation is one of these. */
    public static boolean admits(OnnxOp op) {
        return op.standard() && (op.type().equals("Resize") || op.type().equals("Upsample"));
    }

    private static Optional<HostTensor> constant(List<Operand> operands, int i) {
        return i < operands.size() && operands.get(i) instanceof Operand.Constant c
                ? Optional.of(c.value()).filter(t -> t.elements() > 0)
                : Optional.empty();
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuTensor x = (CpuTensor) variables.get(0);
        long[] shape = x.shape();
        if (variables.size() > 1 || x.type() != ElementType.FLOAT || shape.length != 4) {
            return otherwise.run(variables);
        }
        Optional<Resizing> form = forms.computeIfAbsent(new ShapeKey(shape), k -> Resizing.of(op, shape, scales, sizes)
                .filter(r -> isNearest(r) && isMultiple(r.output(), shape)));
        if (form.isEmpty()) {
            return otherwise.run(variables);
        }
        CpuTensor y = CpuTensor.allocate(
                context.memory(),
                ElementType.FLOAT,
                Layout.CHANNELS_LAST,
                form.get().output());
        try (CpuTensor laid = context.layouts().in(Layout.CHANNELS_LAST, x)) {
            copy(form.get(), laid.floats(), shape, y.floats());
            return List.of(y);
        } catch (RuntimeException | Error e) {
            y.close();
            throw e;
        }
    }

    private static boolean isNearest(Resizing r) {
        return allZero(r.rows().weights()) && allZero(r.columns().weights());
    }

    private boolean isMultiple(long[] output, long[] data) {
        boolean whole = true;
        for (int i = 0; i < data.length; i++) {
            whole &= data[i] > 0 && output[i] % data[i] == 0;
            whole &= scales.isEmpty() || scales.get()[i] * data[i] == output[i];
        }
        return whole;
    }

    private static boolean allZero(float[] weights) {
        for (float w : weights) {
            if (w != 0) {
                return false;
            }
        }
        return true;
    }

    private void copy(Resizing r, FloatBuffer from, long[] in, FloatBuffer to) {
        int channels = Math.toIntExact(in[1]);
        int width = Math.toIntExact(in[3]) * channels;
        int outHeight = Math.toIntExact(r.output()[2]);
        int outColumns = Math.toIntExact(r.output()[3]);
        int outWidth = outColumns * channels;
        float[][] rows = context.scratch().tiles(2, Math.max(width, outWidth));
        for (int n = 0; n < in[0]; n++) {
            int last = -1;
            for (int i = 0; i < outHeight; i++) {
                int row = r.rows().inputs()[2 * i];
                if (row != last) {
                    from.get((n * Math.toIntExact(in[2]) + row) * width, rows[0], 0, width);
                    for (int j = 0; j < outColumns; j++) {
                        System.arraycopy(
                                rows[0], r.columns().inputs()[2 * j] * channels, rows[1], j * channels, channels);
                    }
                    last = row;
                }
                to.put((n * outHeight + i) * outWidth, rows[1], 0, outWidth);
            }
        }
    }

    @Override
    public void close() {
        otherwise.close();
    }
}
