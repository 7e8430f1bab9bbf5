package dev.rebias.device.cuda;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.bytedeco.cuda.cudnn.cudnnConvolutionBwdDataAlgoPerf_t;
import org.bytedeco.cuda.cudnn.cudnnConvolutionFwdAlgoPerf_t;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * Conv and ConvTranspose by cuDNN, without bias. cuDNN pads both sides alike: other pads are made before a convolution,
 * and cut off behind a transposed one, by copies of our own.
 *
 * <p>Only the algorithms that sum products as they are written are used, the implicit matrix products: Winograd's and
 * Fourier's are neither exact for integers nor the same for every batch size.
 *
 * <p>cuDNN 9 marks its descriptors of convolutions as the older of two interfaces. It keeps them in all of 9, and only
 * they let a caller name the algorithm.
 */
@SuppressWarnings("deprecation")
final class PreparedConvolution implements PreparedOp {
    private static final int MOST_ALGORITHMS = 8;

    private final CudaContext context;
    private final LayerOp op;
    private final boolean tf32;
    private final Window window;
    private final long group;
    private final List<Long> dilations;
    private final long[] weightShape;
    private final DeviceTensor weights;
    private final Map<List<Long>, Prepared> shapes = new HashMap<>();

    /** What depends on the input's shape. */
    private record Prepared(
            ConvolutionDescriptors descriptors, int algorithm, long workspace, long[] inner, long[] begins) {}

    /**
     * A convolution.
     *
     * @param tf32 whether factors may be rounded to TF32
     */
    PreparedConvolution(CudaContext context, LayerOp op, HostTensor weights, boolean tf32) {
        this(context, op, context.upload(sent(op, weights)), tf32);
    }

    /** The same with weights on the card, which become this object's to close. */
    PreparedConvolution(CudaContext context, LayerOp op, DeviceTensor weights, boolean tf32) {
        this.context = context;
        this.tf32 = tf32;
        this.op = op;
        if (op instanceof Convolution c) {
            window = c.window();
            group = c.group();
        } else {
            TransposedConvolution t = (TransposedConvolution) op;
            window = t.window();
            group = t.group();
        }
        this.dilations = isSpread(op) ? Collections.nCopies(3, 1L) : window.dilations();
        this.weightShape = weights.shape();
        this.weights = weights;
    }

    /**
     * Whether zeros between the weights dilate: cuDNN's one deterministic algorithm for transposed convolutions does so
     * in two dimensions only (its API reference, cudnnConvolutionBackwardData).
     */
    static boolean isSpread(LayerOp op) {
        return op instanceof TransposedConvolution t
                && t.window().kernel().size() == 3
                && t.window().dilations().stream().anyMatch(d -> d > 1);
    }

    private static HostTensor sent(LayerOp op, HostTensor weights) {
        return isSpread(op)
                ? spread(weights, ((TransposedConvolution) op).window().dilations())
                : weights;
    }

    /** Weights [C,M,depth,height,width] with zeros between them, as dilation reads them. */
    private static HostTensor spread(HostTensor weights, List<Long> dilations) {
        long[] from = weights.shape();
        long[] to = from.clone();
        for (int i = 0; i < 3; i++) {
            to[i + 2] = (from[i + 2] - 1) * dilations.get(i) + 1;
        }
        HostTensor all = HostTensor.zeros(ElementType.FLOAT, to);
        int next = 0;
        for (long filter = 0; filter < from[0] * from[1]; filter++) {
            for (long d = 0; d < to[2]; d += dilations.get(0)) {
                for (long h = 0; h < to[3]; h += dilations.get(1)) {
                    for (long w = 0; w < to[4]; w += dilations.get(2)) {
                        long at = ((filter * to[2] + d) * to[3] + h) * to[4] + w;
                        all.floats().put(Math.toIntExact(at), weights.floats().get(next++));
                    }
                }
            }
        }
        return all;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (variables.get(0) instanceof HostResident onHost) {
            try (DeviceTensor sent = context.upload(onHost.values())) {
                return run(List.of(sent));
            }
        }
        DeviceTensor x = (DeviceTensor) variables.get(0);
        long[] out = op.outputShape(x.shape(), weightShape);
        if (x.elements() == 0 || Shape.elements(out) == 0) {
            return List.of(DeviceTensor.allocate(context, ElementType.FLOAT, out));
        }
        try (Partial made = new Partial()) {
            DeviceTensor y = made.keep(DeviceTensor.allocate(context, ElementType.FLOAT, out));
            long part = samplesAtOnce(x.shape(), out);
            for (long first = 0; first < out[0]; first += part) {
                long count = Math.min(part, out[0] - first);
                try (DeviceTensor from = x.rows(first, count);
                        DeviceTensor to = y.rows(first, count)) {
                    List<Long> key = Arrays.stream(from.shape()).boxed().toList();
                    Prepared prepared = shapes.computeIfAbsent(key, k -> prepare(from.shape(), to.shape()));
                    if (op instanceof Convolution) {
                        convolve(from, to, prepared);
                    } else {
                        transpose(from, to, prepared);
                    }
                }
            }
            made.complete();
            return List.of(y);
        }
    }

    /** How many samples cuDNN can be given at a time: it counts a tensor's elements in ints. */
    private long samplesAtOnce(long[] in, long[] out) {
        long[] one = in.clone();
        one[0] = 1;
        long[] outOne = out.clone();
        outOne[0] = 1;
        long largest = LongStream.of(
                        Shape.elements(one),
                        Shape.elements(outOne),
                        Shape.elements(geometry(one, outOne).inner()))
                .max()
                .getAsLong();
        long samples = context.libraryElements() / largest;
        if (samples == 0) {
            throw new UnsupportedException(what(in) + ": one sample has a tensor of " + largest
                    + " elements, and cuDNN takes up to " + context.libraryElements()
                    + ": use smaller samples, or `device` cpu");
        }
        return samples;
    }

    private String what(long[] in) {
        return op.type() + " of " + Shape.text(in) + " by " + Shape.text(weightShape)
                + (group == 1 ? "" : ", group " + group);
    }

    private void convolve(DeviceTensor x, DeviceTensor y, Prepared p) {
        boolean padded = !Arrays.equals(p.inner(), x.shape());
        DeviceTensor source = padded ? Copies.place(context, x, p.inner(), p.begins()) : x;
        try (MemoryPool.Block space = context.pool().allocate(p.workspace(), "cuDNN's workspace")) {
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
        } finally {
            if (padded) {
                source.close();
            }
        }
    }

    private void transpose(DeviceTensor dy, DeviceTensor to, Prepared p) {
        boolean cut = !Arrays.equals(p.inner(), to.shape());
        DeviceTensor dx = cut ? DeviceTensor.allocate(context, ElementType.FLOAT, p.inner()) : to;
        try (MemoryPool.Block space = context.pool().allocate(p.workspace(), "cuDNN's workspace")) {
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
                cut(dx, to, p.begins());
            }
        } finally {
            if (cut) {
                dx.close();
            }
        }
    }

    /** The part that begins there; what lies behind the last product is zero. */
    private void cut(DeviceTensor dx, DeviceTensor to, long[] begins) {
        long[] inner = dx.shape();
        long[] out = to.shape();
        boolean inside = IntStream.range(0, out.length).allMatch(i -> begins[i] + out[i] <= inner[i]);
        if (inside) {
            Copies.window(context, dx, to, begins);
            return;
        }
        long[] places = Arrays.stream(begins).map(b -> -b).toArray();
        try (DeviceTensor placed = Copies.place(context, dx, out, places)) {
            Copies.window(context, placed, to, new long[out.length]);
        }
    }

    private Prepared prepare(long[] in, long[] out) {
        Geometry g = geometry(in, out);
        boolean forward = op instanceof Convolution;
        return choose(
                new ConvolutionDescriptors(
                        g.inner(),
                        weightShape,
                        forward ? out : in,
                        g.pads(),
                        window.strides(),
                        dilations,
                        group,
                        tf32,
                        what(in)),
                g.inner(),
                g.begins(),
                forward);
    }

    /**
     * What cuDNN is given in place of pads that it does not know.
     *
     * @param inner the shape of the input with its pads, or of the output before it is cut
     * @param begins where the data begin in it, or the output
     * @param pads those that cuDNN makes
     */
    private record Geometry(long[] inner, long[] begins, List<Long> pads) {}

    private Geometry geometry(long[] in, long[] out) {
        int n = window.kernel().size();
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
            return new Geometry(inner, begins, pads);
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
                long whole = window.strides().get(i) * (in[i + 2] - 1) + window.extent(i);
                // Output padding may reach beyond the last tap, but to cuDNN by less than a stride.
                long reach = whole + window.strides().get(i) - 1;
                inner[i + 2] = Math.min(Math.max(whole, begin + out[i + 2]), reach);
                begins[i + 2] = begin;
            }
        }
        return new Geometry(inner, begins, pads);
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
