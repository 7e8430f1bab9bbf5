// libcudnn_graph.so.9: handles and errors.
#include <cstdio>

#include "cudnn.h"

using namespace emulator;

EXPORT size_t cudnnGetVersion() { return 91900; }

EXPORT const char* cudnnGetErrorString(int status) {
    switch (status) {
        case 0:
            return "CUDNN_STATUS_SUCCESS";
        case CUDNN_NOT_INITIALIZED:
            return "CUDNN_STATUS_NOT_INITIALIZED";
        case CUDNN_BAD_PARAM:
            return "CUDNN_STATUS_BAD_PARAM";
        case CUDNN_NOT_SUPPORTED:
            return "CUDNN_STATUS_NOT_SUPPORTED";
        case CUDNN_EXECUTION_FAILED:
            return "CUDNN_STATUS_EXECUTION_FAILED";
        default:
            return "CUDNN_STATUS unknown";
    }
}

EXPORT void cudnnGetLastErrorString(char* message, size_t size) {
    if (size > 0) snprintf(message, size, "%s", last_refusal().c_str());
}

EXPORT int cudnnCreate(CudnnHandle** handle) {
    ENTER_CONTEXT(cudnnCreate);
    *handle = new CudnnHandle();
    born_on_device(*handle, "cuDNN handle");
    return 0;
}

EXPORT int cudnnDestroy(CudnnHandle* handle) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cudnnDestroy", CUDNN_EXECUTION_FAILED);
    if (!require_context("cudnnDestroy")) return CUDNN_EXECUTION_FAILED;
    if (!died(handle, "cuDNN handle", "cudnnDestroy")) return CUDNN_BAD_PARAM;
    delete handle;
    return ordered;
}

EXPORT int cudnnSetStream(CudnnHandle* handle, Stream* stream) {
    ENTER_CONTEXT(cudnnSetStream);
    if (!alive(handle, "cuDNN handle", "cudnnSetStream") || !alive(stream, "stream", "cudnnSetStream"))
        return CUDNN_BAD_PARAM;
    handle->stream = stream;
    return 0;
}
