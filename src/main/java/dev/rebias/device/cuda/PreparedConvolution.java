package dev.rebias.device.cuda;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.cuda.cudnn.cudnnConvolutionBwdDataAlgoPerf_t;
import org.bytedeco.cuda.cudnn.cudnnConvolutionFwdAlgoPerf_t;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * Conv and ConvTranspose by cuDNN, without bias. cuDNN pads both sides alike: other pads are made before a convolution, and cut off behind a transposed one,
 * by copies of our own.
 *
 * <p>Only the algorithms that sum products as they are written are used, the implicit matrix products: Winograd's and Fourier's are neither exact for
 * integers nor the same for every batch size.
 *
 * <p>cuDNN 9 marks its descriptors of convolutions as the older of two interfaces. It keeps them in all of 9, and only they let a caller name the algorithm.
 */
@SuppressWarnings("deprecation")
final class PreparedConvolution implements PreparedOp {
    private static final int MOST_ALGORITHMS = 8;

    private final CudaContext context;
    private final LayerOp op;
    private final Window window;
    private final long group;
    private final long[] weightShape;
    private final DeviceTensor weights;
    private final Map<List<Long>, Prepared> shapes = new HashMap<>();

    /** What depends on the input's shape. */
    private record Prepared(
            ConvolutionDescriptors descriptors, int algorithm, long workspace, long[] inner, long[] begins) {}

    PreparedConvolution(CudaContext context, LayerOp op, HostTensor weights) {
        this.context = context;
        this.op = op;
        this.weightShape = weights.shape();
        if (op instanceof Convolution c) {
            window = c.window();
            group = c.group();
        } else {
            TransposedConvolution t = (TransposedConvolution) op;
            window = t.window();
            group = t.group();
        }
        this.weights = context.upload(weights);
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (variables.get(0) instanceof HostResident onHost) {
            try (DeviceTensor sent = context.upload(HostFallback.values(onHost))) {
                return run(List.of(sent));
            }
        }
        DeviceTensor x = (DeviceTensor) variables.get(0);
        long[] out = op.outputShape(x.shape(), weightShape);
        if (x.elements() == 0 || Shape.elements(out) == 0) {
            return List.of(DeviceTensor.allocate(context, ElementType.FLOAT, out));
        }
        List<Long> key = java.util.Arrays.stream(x.shape()).boxed().toList();
        Prepared prepared = shapes.computeIfAbsent(key, k -> prepare(x.shape(), out));
        return List.of(op instanceof Convolution ? convolve(x, out, prepared) : transpose(x, out, prepared));
    }

    private DeviceTensor convolve(DeviceTensor x, long[] out, Prepared p) {
        boolean padded = !java.util.Arrays.equals(p.inner(), x.shape());
        DeviceTensor source = padded ? Copies.place(context, x, p.inner(), p.begins()) : x;
        try (MemoryPool.Block space = context.pool().allocate(p.workspace(), "cuDNN's workspace")) {
            DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, out);
            try (Partial made = new Partial()) {
                made.keep(y);
                Status.cudnn(
                        cudnn.cudnnConvolutionForward(
                                context.cudnn(),
                                context.one(),
                                p.descriptors().x(),
                                new Address(source.address()),
                                p.descriptors().w(),
                                new Address(weights.address()),
                                p.descriptors().convolution(),
                                p.algorithm(),
                                new Address(space.address()),
                                p.workspace(),
                                context.zero(),
                                p.descriptors().y(),
                                new Address(y.address())),
                        "cudnnConvolutionForward",
                        p.descriptors().what());
                made.complete();
            }
            return y;
        } finally {
            if (padded) {
                source.close();
            }
        }
    }

    private DeviceTensor transpose(DeviceTensor dy, long[] out, Prepared p) {
        boolean cut = !java.util.Arrays.equals(p.inner(), out);
        try (Partial made = new Partial();
                MemoryPool.Block space = context.pool().allocate(p.workspace(), "cuDNN's workspace")) {
            DeviceTensor dx = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, p.inner()));
            Status.cudnn(
                    cudnn.cudnnConvolutionBackwardData(
                            context.cudnn(),
                            context.one(),
                            p.descriptors().w(),
                            new Address(weights.address()),
                            p.descriptors().y(),
                            new Address(dy.address()),
                            p.descriptors().convolution(),
                            p.algorithm(),
                            new Address(space.address()),
                            p.workspace(),
                            context.zero(),
                            p.descriptors().x(),
                            new Address(dx.address())),
                    "cudnnConvolutionBackwardData",
                    p.descriptors().what());
            if (cut) {
                return Copies.place(context, dx, out, p.begins());
            }
            made.complete();
            return dx;
        }
    }

    private Prepared prepare(long[] in, long[] out) {
        int n = window.kernel().size();
        String what = op.type() + " of " + Shape.text(in) + " by " + Shape.text(weightShape)
                + (group == 1 ? "" : ", group " + group);
        List<Long> pads = new ArrayList<>();
        long[] begins = new long[in.length];
        if (op instanceof Convolution) {
            long[] inner = in.clone();
            boolean symmetric = true;
            for (int i = 0; i < n; i++) {
                symmetric = symmetric && window.begin(i, in[i + 2]) == window.end(i, in[i + 2]);
                // Negative pads crop; cuDNN knows none.
                symmetric = symmetric && window.begin(i, in[i + 2]) >= 0;
            }
            for (int i = 0; i < n; i++) {
                long begin = window.begin(i, in[i + 2]);
                pads.add(symmetric ? begin : 0);
                if (!symmetric) {
                    inner[i + 2] += begin + window.end(i, in[i + 2]);
                    begins[i + 2] = begin;
                }
            }
            return choose(
                    new ConvolutionDescriptors(
                            inner, weightShape, out, pads, window.strides(), window.dilations(), group, what),
                    inner,
                    begins,
                    true);
        }
        TransposedConvolution transposed = (TransposedConvolution) op;
        // cuDNN's dx is what the output is before anything is cut off; where the cut is the same on both sides, cuDNN
        // makes it.
        long[] inner = out.clone();
        boolean symmetric = true;
        for (int i = 0; i < n; i++) {
            long begin = transposed.begin(i, in[i + 2]);
            long whole = window.strides().get(i) * (in[i + 2] - 1) + window.extent(i);
            // With pads p, dx has stride (in - 1) + extent - 2 p elements, and up to stride - 1 more (output padding).
            long more = out[i + 2] + 2 * begin - whole;
            symmetric = symmetric
                    && begin >= 0
                    && more >= 0
                    && more < window.strides().get(i);
        }
        for (int i = 0; i < n; i++) {
            long begin = transposed.begin(i, in[i + 2]);
            pads.add(symmetric ? begin : 0);
            if (!symmetric) {
                // What is behind the last tap is filled up with zeros.
                inner[i + 2] = window.strides().get(i) * (in[i + 2] - 1) + window.extent(i);
                begins[i + 2] = -begin;
            }
        }
        return choose(
                new ConvolutionDescriptors(
                        inner, weightShape, in, pads, window.strides(), window.dilations(), group, what),
                inner,
                begins,
                false);
    }

    /** The fastest algorithm, as cuDNN expects, of those that may be used. */
    private Prepared choose(ConvolutionDescriptors d, long[] inner, long[] begins, boolean forward) {
        try (Partial made = new Partial();
                SizeTPointer bytes = new SizeTPointer(1)) {
            made.keep(d);
            int algorithm = forward ? forwardAlgorithm(d) : backwardAlgorithm(d);
            int status = forward
                    ? cudnn.cudnnGetConvolutionForwardWorkspaceSize(
                            context.cudnn(), d.x(), d.w(), d.convolution(), d.y(), algorithm, bytes)
                    : cudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                            context.cudnn(), d.w(), d.y(), d.convolution(), d.x(), algorithm, bytes);
            Status.cudnn(
                    status,
                    forward
                            ? "cudnnGetConvolutionForwardWorkspaceSize"
                            : "cudnnGetConvolutionBackwardDataWorkspaceSize",
                    d.what());
            made.complete();
            return new Prepared(d, algorithm, bytes.get(), inner, begins);
        }
    }

    private int forwardAlgorithm(ConvolutionDescriptors d) {
        int[] returned = new int[1];
        try (cudnnConvolutionFwdAlgoPerf_t found = new cudnnConvolutionFwdAlgoPerf_t(MOST_ALGORITHMS)) {
            Status.cudnn(
                    cudnn.cudnnGetConvolutionForwardAlgorithm_v7(
                            context.cudnn(), d.x(), d.w(), d.convolution(), d.y(), MOST_ALGORITHMS, returned, found),
                    "cudnnGetConvolutionForwardAlgorithm_v7",
                    d.what());
            for (int i = 0; i < returned[0]; i++) {
                cudnnConvolutionFwdAlgoPerf_t one = found.getPointer(i);
                int algorithm = one.algo();
                if (one.status() == cudnn.CUDNN_STATUS_SUCCESS
                        && one.determinism() == cudnn.CUDNN_DETERMINISTIC
                        && (algorithm == cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM
                                || algorithm == cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)) {
                    return algorithm;
                }
            }
        }
        return cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
    }

    private int backwardAlgorithm(ConvolutionDescriptors d) {
        int[] returned = new int[1];
        try (cudnnConvolutionBwdDataAlgoPerf_t found = new cudnnConvolutionBwdDataAlgoPerf_t(MOST_ALGORITHMS)) {
            Status.cudnn(
                    cudnn.cudnnGetConvolutionBackwardDataAlgorithm_v7(
                            context.cudnn(), d.w(), d.y(), d.convolution(), d.x(), MOST_ALGORITHMS, returned, found),
                    "cudnnGetConvolutionBackwardDataAlgorithm_v7",
                    d.what());
            for (int i = 0; i < returned[0]; i++) {
                cudnnConvolutionBwdDataAlgoPerf_t one = found.getPointer(i);
                // Algorithm 0 adds with atomics, in any order; 1 is the deterministic product.
                if (one.status() == cudnn.CUDNN_STATUS_SUCCESS
                        && one.determinism() == cudnn.CUDNN_DETERMINISTIC
                        && one.algo() == cudnn.CUDNN_CONVOLUTION_BWD_DATA_ALGO_1) {
                    return one.algo();
                }
            }
        }
        return cudnn.CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(weights::close);
        shapes.values().forEach(p -> all.add(p.descriptors()::close));
        shapes.clear();
        all.close();
    }
}
