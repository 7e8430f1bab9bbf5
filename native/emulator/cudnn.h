// What the parts of the emulated cuDNN share. Numbers are those of cuDNN 9's cudnn.h.
#pragma once
#include <vector>

#include "cudnn_support.h"
#include "emulator.h"

namespace emulator {

constexpr int CUDNN_NOT_INITIALIZED = 1001;
constexpr int CUDNN_BAD_PARAM = 2000;
constexpr int CUDNN_NOT_SUPPORTED = 3000;
constexpr int CUDNN_EXECUTION_FAILED = 5000;

struct CudnnHandle {
    Stream* stream = nullptr;
};

struct TensorDescriptor {
    std::vector<int64_t> dims, strides;

    size_t bytes() const {
        int64_t last = 0;
        for (size_t i = 0; i < dims.size(); i++) last += (dims[i] - 1) * strides[i];
        return static_cast<size_t>(last + 1) * sizeof(float);
    }
};

struct FilterDescriptor {
    std::vector<int64_t> dims;

    size_t bytes() const {
        int64_t n = 1;
        for (int64_t d : dims) n *= d;
        return static_cast<size_t>(n) * sizeof(float);
    }
};

}  // namespace emulator

#define ENTER(function)                                                          \
    std::lock_guard<std::recursive_mutex> guard(lock());                         \
    if (int ordered = called(#function, CUDNN_EXECUTION_FAILED)) return ordered; \
    if (sticky()) return CUDNN_EXECUTION_FAILED

// The same for calls that work on a card, not on descriptors only.
#define ENTER_CONTEXT(function) \
    ENTER(function);            \
    if (!require_context(#function)) return CUDNN_EXECUTION_FAILED
