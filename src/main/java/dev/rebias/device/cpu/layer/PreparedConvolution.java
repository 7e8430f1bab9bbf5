package dev.rebias.device.cpu.layer;

import static org.bytedeco.dnnl.global.dnnl.dnnl_convolution_direct;
import static org.bytedeco.dnnl.global.dnnl.dnnl_convolution_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_deconvolution_direct;
import static org.bytedeco.dnnl.global.dnnl.dnnl_deconvolution_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_inference;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_next_impl;

import dev.rebias.device.cpu.elementwise.PostOps;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.op.Convolution;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Convolutions and transposed convolutions over any number of dimensions, channels last. */
final class PreparedConvolution extends PreparedLayer {
    private final boolean transposed;
    private final Window window;
    private final long group;

    PreparedConvolution(CpuContext context, LayerOperands operands, Optional<PostOps> postOps) {
        super(context, operands, Layout.CHANNELS_LAST, postOps);
        transposed = operands.op() instanceof TransposedConvolution;
        if (operands.op() instanceof TransposedConvolution t) {
            window = t.window();
            group = t.group();
        } else {
            Convolution c = (Convolution) operands.op();
            window = c.window();
            group = c.group();
        }
    }

    @Override
    int rank(long[] output) {
        return output.length;
    }

    @Override
    Optional<Float> factor() {
        return Optional.empty();
    }

    /** How many positions of padding there are before the data, along each spatial dimension. */
    private long[] before(long[] data) {
        long[] before = new long[window.kernel().size()];
        for (int i = 0; i < before.length; i++) {
            before[i] = operands().op() instanceof TransposedConvolution t
                    ? t.begin(i, data[i + 2])
                    : window.begin(i, data[i + 2]);
        }
        return before;
    }

    /** How many there are behind them: less than none where the kernel stops short of the data's end. */
    private long[] behind(long[] data, long[] output, long[] before) {
        long[] behind = new long[before.length];
        for (int i = 0; i < behind.length; i++) {
            long in = data[i + 2];
            long out = output[i + 2];
            long stride = window.strides().get(i);
            behind[i] = transposed
                    ? (in - 1) * stride + window.extent(i) - before[i] - out
                    : (out - 1) * stride + window.extent(i) - before[i] - in;
        }
        return behind;
    }

    @Override
    Optional<Padding> padding(long[] data, long[] output) {
        long zero = operands().zero().orElseThrow();
        long[] before = before(data);
        long[] behind = behind(data, output, before);
        boolean none = Arrays.stream(before).allMatch(b -> b == 0)
                && Arrays.stream(behind).allMatch(b -> b <= 0);
        return zero == 0 || none ? Optional.empty() : Optional.of(new Padding((byte) zero, data, before, behind));
    }

    @Override
    dnnl_primitive_desc describe(PrimitiveSpec spec, Types types, long[] data, long[] output, boolean padded) {
        int n = window.kernel().size();
        long[] strides = new long[n];
        long[] dilations = new long[n];
        for (int i = 0; i < n; i++) {
            strides[i] = window.strides().get(i);
            dilations[i] = window.dilations().get(i) - 1; // oneDNN counts what is left out
        }
        long[] before = padded ? new long[n] : before(data);
        long[] behind = behind(data, output, before);
        dnnl_primitive_desc description = new dnnl_primitive_desc();
        dnnl_memory_desc source = spec.channelsLast(types.data(), data);
        dnnl_memory_desc target = spec.channelsLast(postOps().map(PostOps::type).orElse(ElementType.FLOAT), output);
        dnnl_memory_desc weights = spec.any(types.weights(), weightDims());
        dnnl_memory_desc bias = postOps()
                .filter(PostOps::hasBias)
                .map(t -> spec.plain(ElementType.FLOAT, output[1]))
                .orElse(null);
        if (transposed) {
            OneDnn.check(
                    dnnl_deconvolution_forward_primitive_desc_create(
                            description,
                            OneDnn.engine(),
                            dnnl_forward_inference,
                            dnnl_deconvolution_direct,
                            source,
                            weights,
                            bias,
                            target,
                            strides,
                            dilations,
                            before,
                            behind,
                            spec.attributes()),
                    "dnnl_deconvolution_forward_primitive_desc_create");
        } else {
            OneDnn.check(
                    dnnl_convolution_forward_primitive_desc_create(
                            description,
                            OneDnn.engine(),
                            dnnl_forward_inference,
                            dnnl_convolution_direct,
                            source,
                            weights,
                            bias,
                            target,
                            strides,
                            dilations,
                            before,
                            behind,
                            spec.attributes()),
                    "dnnl_convolution_forward_primitive_desc_create");
            while (operands().hasSingleInputs()
                    && OneDnn.implementation(description).contains("brg")) {
                OneDnn.check(dnnl_primitive_desc_next_impl(description), "dnnl_primitive_desc_next_impl");
            }
        }
        return description;
    }

    /**
     * oneDNN's dimensions of the weights: [group, out/group, in/group, kernel..], without the first where there is one
     * group.
     */
    private long[] weightDims() {
        long[] shape = operands().weights().shape();
        int n = shape.length - 2;
        long out = transposed ? shape[1] : shape[0] / group;
        long in = transposed ? shape[0] / group : shape[1];
        long[] dims = new long[group == 1 ? n + 2 : n + 3];
        int at = 0;
        if (group != 1) {
            dims[at++] = group;
        }
        dims[at++] = out;
        dims[at++] = in;
        System.arraycopy(shape, 2, dims, at, n);
        return dims;
    }

    @Override
    int channelDimensions() {
        return group == 1 ? 1 : 1 | 1 << 1;
    }

    @Override
    dnnl_memory_desc weights(PrimitiveSpec spec) {
        long[] dims = weightDims();
        if (!transposed) {
            return spec.plain(ElementType.FLOAT, dims);
        }
        // ONNX has [in, out/group, kernel..]: a group's inputs are its first dimension's rows.
        long[] strides = Layout.PLAIN.strides(dims);
        int out = group == 1 ? 0 : 1;
        long kernel = strides[out + 1];
        strides[out] = kernel;
        strides[out + 1] = kernel * dims[out];
        return spec.strided(ElementType.FLOAT, dims, strides);
    }
}
