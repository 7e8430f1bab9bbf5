// What the emulated cuBLAS and cuBLASLt share. Numbers are those of CUDA 13's cublas_api.h.
#pragma once
#include <vector>

#include "emulator.h"

namespace emulator {

constexpr int CUBLAS_NOT_INITIALIZED = 1;
constexpr int CUBLAS_INVALID_VALUE = 7;
constexpr int CUBLAS_EXECUTION_FAILED = 13;
constexpr int CUBLAS_NOT_SUPPORTED = 15;

// A matrix in columns that are so far apart, or its transpose.
template <typename T>
struct Columns {
    const T* at;
    bool transposed;
    int64_t leading;

    T get(int64_t row, int64_t column) const {
        return transposed ? at[column + row * leading] : at[row + column * leading];
    }
};

inline float operand(float value, bool tf32) { return tf32 ? to_tf32(value) : value; }

inline int32_t operand(int8_t value, bool) { return value; }

inline float add(float sum, float a, float b) { return sum + a * b; }

// Sums of integers wrap round as the card's do.
inline int32_t add(int32_t sum, int32_t a, int32_t b) {
    return static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(a * b));
}

// C [m, n] = alpha A B + beta C; every sum over k begins at its first-th product.
template <typename In, typename Sum>
void multiply(int64_t m, int64_t n, int64_t k, int64_t first, bool tf32, Sum alpha, const Columns<In>& a,
              const Columns<In>& b, Sum beta, Sum* c, int64_t ldc) {
    // A as rows, so that sums run along memory.
    std::vector<Sum> rows(static_cast<size_t>(m * k));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t p = 0; p < k; p++) rows[static_cast<size_t>(i * k + p)] = operand(a.get(i, p), tf32);
    }
    parallel(n, [&](int64_t j) {
        std::vector<Sum> column(static_cast<size_t>(k));
        for (int64_t p = 0; p < k; p++) column[static_cast<size_t>(p)] = operand(b.get(p, j), tf32);
        for (int64_t i = 0; i < m; i++) {
            const Sum* row = rows.data() + i * k;
            Sum sum = 0;
            for (int64_t p = first; p < k; p++) sum = add(sum, row[p], column[static_cast<size_t>(p)]);
            for (int64_t p = 0; p < first; p++) sum = add(sum, row[p], column[static_cast<size_t>(p)]);
            Sum* to = c + i + j * ldc;
            *to = alpha * sum + (beta == 0 ? 0 : beta * *to);
        }
    });
}

}  // namespace emulator

#define ENTER(function)                                                           \
    std::lock_guard<std::recursive_mutex> guard(lock());                          \
    if (int ordered = called(#function, CUBLAS_EXECUTION_FAILED)) return ordered; \
    if (sticky()) return CUBLAS_EXECUTION_FAILED

// The same for calls that work on a card, not on descriptors only.
#define ENTER_CONTEXT(function) \
    ENTER(function);            \
    if (!require_context(#function)) return CUBLAS_EXECUTION_FAILED
