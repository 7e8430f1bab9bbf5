package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.cuda.cudnn.cudnnConvolutionStruct;
import org.bytedeco.cuda.cudnn.cudnnFilterStruct;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cudnn;

/**
 * cuDNN's descriptors of one convolution: x [N,C,spatial..], w [M,C/group,spatial..], y [N,M,spatial..]. One spatial
 * dimension is described as two, the first of size 1; cuDNN has no fewer.
 *
 * <p>cuDNN 9 marks its descriptors of convolutions as the older of two interfaces. It keeps them in all of 9, and only
 * they let a caller name the algorithm.
 */
@SuppressWarnings("deprecation")
final class ConvolutionDescriptors implements AutoCloseable {
    private final Resources resources = new Resources();
    private final cudnnTensorStruct x = new cudnnTensorStruct();
    private final cudnnTensorStruct y = new cudnnTensorStruct();
    private final cudnnFilterStruct w = new cudnnFilterStruct();
    private final cudnnConvolutionStruct convolution = new cudnnConvolutionStruct();
    private final String what;

    /**
     * Makes the descriptors.
     *
     * @param pads the same before and behind, one entry per spatial dimension
     * @param tf32 whether factors may be rounded to TF32
     * @param what the operation with its shapes, for messages
     */
    ConvolutionDescriptors(
            long[] xShape,
            long[] wShape,
            long[] yShape,
            List<Long> pads,
            List<Long> strides,
            List<Long> dilations,
            long group,
            boolean tf32,
            String what) {
        this.what = what;
        try {
            tensor(x, xShape);
            tensor(y, yShape);
            Status.cudnn(cudnn.cudnnCreateFilterDescriptor(w), "cudnnCreateFilterDescriptor", what);
            resources.add(
                    () -> Status.cudnn(cudnn.cudnnDestroyFilterDescriptor(w), "cudnnDestroyFilterDescriptor", what));
            int[] dims = dims(wShape);
            Status.cudnn(
                    cudnn.cudnnSetFilterNdDescriptor(
                            w, cudnn.CUDNN_DATA_FLOAT, cudnn.CUDNN_TENSOR_NCHW, dims.length, dims),
                    "cudnnSetFilterNdDescriptor",
                    what);
            Status.cudnn(cudnn.cudnnCreateConvolutionDescriptor(convolution), "cudnnCreateConvolutionDescriptor", what);
            resources.add(() -> Status.cudnn(
                    cudnn.cudnnDestroyConvolutionDescriptor(convolution), "cudnnDestroyConvolutionDescriptor", what));
            int[] p = spatial(pads, 0);
            Status.cudnn(
                    cudnn.cudnnSetConvolutionNdDescriptor(
                            convolution,
                            p.length,
                            p,
                            spatial(strides, 1),
                            spatial(dilations, 1),
                            cudnn.CUDNN_CROSS_CORRELATION,
                            cudnn.CUDNN_DATA_FLOAT),
                    "cudnnSetConvolutionNdDescriptor",
                    what);
            Status.cudnn(
                    cudnn.cudnnSetConvolutionGroupCount(convolution, Math.toIntExact(group)),
                    "cudnnSetConvolutionGroupCount",
                    what);
            // cuDNN's default rounds to TF32 where the card has it.
            Status.cudnn(
                    cudnn.cudnnSetConvolutionMathType(
                            convolution, tf32 ? cudnn.CUDNN_DEFAULT_MATH : cudnn.CUDNN_FMA_MATH),
                    "cudnnSetConvolutionMathType",
                    what);
        } catch (RuntimeException e) {
            try {
                resources.close();
            } catch (RuntimeException more) {
                e.addSuppressed(more);
            }
            throw e;
        }
    }

    private void tensor(cudnnTensorStruct descriptor, long[] shape) {
        Status.cudnn(cudnn.cudnnCreateTensorDescriptor(descriptor), "cudnnCreateTensorDescriptor", what);
        resources.add(() ->
                Status.cudnn(cudnn.cudnnDestroyTensorDescriptor(descriptor), "cudnnDestroyTensorDescriptor", what));
        int[] dims = dims(shape);
        int[] strides = new int[dims.length];
        int step = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            strides[i] = step;
            step = Math.multiplyExact(step, dims[i]);
        }
        Status.cudnn(
                cudnn.cudnnSetTensorNdDescriptor(descriptor, cudnn.CUDNN_DATA_FLOAT, dims.length, dims, strides),
                "cudnnSetTensorNdDescriptor",
                what + ", " + Shape.text(shape));
    }

    private static int[] dims(long[] shape) {
        long[] padded = shape.length == 3 ? new long[] {shape[0], shape[1], 1, shape[2]} : shape;
        return Arrays.stream(padded).mapToInt(Math::toIntExact).toArray();
    }

    private static int[] spatial(List<Long> values, int missing) {
        int[] all = values.stream().mapToInt(Math::toIntExact).toArray();
        return all.length == 1 ? new int[] {missing, all[0]} : all;
    }

    cudnnTensorStruct x() {
        return x;
    }

    cudnnTensorStruct y() {
        return y;
    }

    cudnnFilterStruct w() {
        return w;
    }

    cudnnConvolutionStruct convolution() {
        return convolution;
    }

    String what() {
        return what;
    }

    /** The output's shape as cuDNN works it out, of x's rank, one spatial dimension as two. */
    int[] outputShape(int rank) {
        int[] dims = new int[Math.max(rank, 4)];
        Status.cudnn(
                cudnn.cudnnGetConvolutionNdForwardOutputDim(convolution, x, w, dims.length, dims),
                "cudnnGetConvolutionNdForwardOutputDim",
                what);
        return dims;
    }

    @Override
    public void close() {
        resources.close();
    }
}
