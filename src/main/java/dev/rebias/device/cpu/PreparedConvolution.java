package dev.rebias.device.cpu;

import static org.bytedeco.dnnl.global.dnnl.dnnl_convolution_direct;
import static org.bytedeco.dnnl.global.dnnl.dnnl_convolution_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_deconvolution_direct;
import static org.bytedeco.dnnl.global.dnnl.dnnl_deconvolution_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_inference;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_next_impl;

import dev.rebias.op.Convolution;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/** Convolutions and transposed convolutions over any number of dimensions, channels last. */
final class PreparedConvolution extends PreparedLayer {
    private final boolean transposed;
    private final Window window;
    private final long group;

    PreparedConvolution(CpuContext context, LayerOperands operands) {
        super(context, operands, Layout.CHANNELS_LAST);
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

    @Override
    dnnl_primitive_desc describe(Recipe recipe, Types types, long[] data, long[] output) {
        int n = window.kernel().size();
        long[] strides = new long[n];
        long[] dilations = new long[n];
        long[] before = new long[n];
        long[] behind = new long[n];
        for (int i = 0; i < n; i++) {
            strides[i] = window.strides().get(i);
            dilations[i] = window.dilations().get(i) - 1; // oneDNN counts what is left out
            if (operands().op() instanceof TransposedConvolution t) {
                before[i] = t.begin(i, data[i + 2]);
                behind[i] = (data[i + 2] - 1) * strides[i] + window.extent(i) - before[i] - output[i + 2];
            } else {
                before[i] = window.begin(i, data[i + 2]);
                behind[i] = (output[i + 2] - 1) * strides[i] + window.extent(i) - before[i] - data[i + 2];
            }
        }
        dnnl_primitive_desc description = new dnnl_primitive_desc();
        dnnl_memory_desc source = recipe.channelsLast(types.data(), data);
        dnnl_memory_desc target = recipe.channelsLast(ElementType.FLOAT, output);
        dnnl_memory_desc weights = recipe.any(types.weights(), weightDims());
        if (transposed) {
            OneDnn.check(
                    dnnl_deconvolution_forward_primitive_desc_create(
                            description,
                            OneDnn.engine(),
                            dnnl_forward_inference,
                            dnnl_deconvolution_direct,
                            source,
                            weights,
                            null,
                            target,
                            strides,
                            dilations,
                            before,
                            behind,
                            recipe.attributes()),
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
                            null,
                            target,
                            strides,
                            dilations,
                            before,
                            behind,
                            recipe.attributes()),
                    "dnnl_convolution_forward_primitive_desc_create");
            while (operands().hasSingleInputs()
                    && OneDnn.implementation(description).contains("brg")) {
                OneDnn.check(dnnl_primitive_desc_next_impl(description), "dnnl_primitive_desc_next_impl");
            }
        }
        return description;
    }

    /** oneDNN's dimensions of the weights: [group, out/group, in/group, kernel..], without the first where there is one group. */
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
    dnnl_memory_desc weights(Recipe recipe) {
        long[] dims = weightDims();
        if (!transposed) {
            return recipe.plain(ElementType.FLOAT, dims);
        }
        // ONNX has [in, out/group, kernel..]: a group's inputs are its first dimension's rows.
        long[] strides = Layout.PLAIN.strides(dims);
        int out = group == 1 ? 0 : 1;
        long kernel = strides[out + 1];
        strides[out] = kernel;
        strides[out + 1] = kernel * dims[out];
        return recipe.strided(ElementType.FLOAT, dims, strides);
    }
}
