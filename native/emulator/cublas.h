// What the emulated cuBLAS and cuBLASLt share. Numbers are those of CUDA 13's cublas_api.h.
#pragma once
#include "emulator.h"

namespace emulator {

constexpr int CUBLAS_NOT_INITIALIZED = 1;
constexpr int CUBLAS_INVALID_VALUE = 7;
constexpr int CUBLAS_EXECUTION_FAILED = 13;
constexpr int CUBLAS_NOT_SUPPORTED = 15;

}  // namespace emulator

#define ENTER(function)                                                           \
    std::lock_guard<std::recursive_mutex> guard(lock());                          \
    if (int ordered = called(#function, CUBLAS_EXECUTION_FAILED)) return ordered; \
    if (sticky()) return CUBLAS_EXECUTION_FAILED

// The same for calls that work on a card, not on descriptors only.
#define ENTER_CONTEXT(function) \
    ENTER(function);            \
    if (!require_context(#function)) return CUBLAS_EXECUTION_FAILED
