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

EXPORT int cudnnSetTensorNdDescriptor(TensorDescriptor* descriptor, int type, int n, const int* dims, const int* strides) {
    ENTER(cudnnSetTensorNdDescriptor);
    if (!alive(descriptor, "tensor descriptor", "cudnnSetTensorNdDescriptor")) return CUDNN_BAD_PARAM;
    if (type != FLOAT || n < 4 || n > 5) return CUDNN_NOT_SUPPORTED;
    int64_t elements = 1;
    for (int i = 0; i < n; i++) {
        if (dims[i] < 1 || strides[i] < 1) return CUDNN_BAD_PARAM;
        elements *= dims[i];
    }
    if (elements > INT32_MAX) return CUDNN_NOT_SUPPORTED;
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
    if (type != FLOAT || format != NCHW || n < 4 || n > 5) return CUDNN_NOT_SUPPORTED;
    for (int i = 0; i < n; i++) {
        if (dims[i] < 1) return CUDNN_BAD_PARAM;
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
