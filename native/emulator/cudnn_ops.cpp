// libcudnn_ops.so.9: tensor and filter descriptors.
#include "cudnn.h"

using namespace emulator;

constexpr int FLOAT = 0;
constexpr int NCHW = 0;

EXPORT int cudnnCreateTensorDescriptor(TensorDescriptor** descriptor) {
    ENTER(cudnnCreateTensorDescriptor);
    *descriptor = new TensorDescriptor();
    born(*descriptor, "tensor descriptor");
    return 0;
}

EXPORT int cudnnSetTensorNdDescriptor(TensorDescriptor* descriptor, int type, int n, const int* dims,
                                      const int* strides) {
    ENTER(cudnnSetTensorNdDescriptor);
    if (!alive(descriptor, "tensor descriptor", "cudnnSetTensorNdDescriptor")) return CUDNN_BAD_PARAM;
    if (type != FLOAT || n < 4 || n > 5)
        return refuse(CUDNN_NOT_SUPPORTED, "tensor descriptor: type %d or rank %d", type, n);
    int64_t last = 0;
    for (int i = 0; i < n; i++) {
        if (dims[i] < 1 || strides[i] < 1)
            return refuse(CUDNN_BAD_PARAM, "tensor descriptor: dimension %d is %d, its stride %d", i, dims[i],
                          strides[i]);
        last += int64_t{dims[i] - 1} * strides[i];
    }
    if (last + 1 >= int64_t{1} << 31)
        return refuse(CUDNN_NOT_SUPPORTED, "tensor descriptor: %ld elements, 2^31 or more",
                      static_cast<long>(last + 1));
    descriptor->dims.assign(dims, dims + n);
    descriptor->strides.assign(strides, strides + n);
    return 0;
}

EXPORT int cudnnDestroyTensorDescriptor(TensorDescriptor* descriptor) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cudnnDestroyTensorDescriptor", CUDNN_EXECUTION_FAILED);
    if (!died(descriptor, "tensor descriptor", "cudnnDestroyTensorDescriptor")) return CUDNN_BAD_PARAM;
    delete descriptor;
    return ordered;
}

EXPORT int cudnnCreateFilterDescriptor(FilterDescriptor** descriptor) {
    ENTER(cudnnCreateFilterDescriptor);
    *descriptor = new FilterDescriptor();
    born(*descriptor, "filter descriptor");
    return 0;
}

EXPORT int cudnnSetFilterNdDescriptor(FilterDescriptor* descriptor, int type, int format, int n, const int* dims) {
    ENTER(cudnnSetFilterNdDescriptor);
    if (!alive(descriptor, "filter descriptor", "cudnnSetFilterNdDescriptor")) return CUDNN_BAD_PARAM;
    if (type != FLOAT || format != NCHW || n < 4 || n > 5) {
        return refuse(CUDNN_NOT_SUPPORTED, "filter descriptor: type %d, format %d or rank %d", type, format, n);
    }
    for (int i = 0; i < n; i++) {
        if (dims[i] < 1) return refuse(CUDNN_BAD_PARAM, "filter descriptor: dimension %d is %d", i, dims[i]);
    }
    descriptor->dims.assign(dims, dims + n);
    return 0;
}

EXPORT int cudnnDestroyFilterDescriptor(FilterDescriptor* descriptor) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cudnnDestroyFilterDescriptor", CUDNN_EXECUTION_FAILED);
    if (!died(descriptor, "filter descriptor", "cudnnDestroyFilterDescriptor")) return CUDNN_BAD_PARAM;
    delete descriptor;
    return ordered;
}
