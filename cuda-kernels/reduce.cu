// ReduceMean, ReduceSum, ReduceMax, ReduceMin, GlobalAveragePool, GlobalMaxPool: float [outer, length, inner] -> [outer, inner].
//   operation: 0 mean, 1 sum, 2 max, 3 min
// reduce_rows: inner = 1, one warp per row; reduce_columns: one thread per column, neighbours read neighbours. Reads 4 bytes per element, once:
// at 2 TB/s 2 ms per 10^9 elements.
#include "rebias.cuh"

__device__ __forceinline__ float first(int operation) {
    return operation < 2 ? 0.0f : operation == 2 ? -INFINITY_F : INFINITY_F;
}

__device__ __forceinline__ float combine(int operation, float a, float b) {
    return operation < 2 ? a + b : operation == 2 ? fmaxf(a, b) : fminf(a, b);
}

extern "C" __global__ void __launch_bounds__(256) reduce_rows(const float* __restrict__ from, float* __restrict__ to, long long rows, long long length,
                                                              int operation) {
    long long row = (long long)blockIdx.x * (256 / WARP) + threadIdx.x / WARP;
    if (row >= rows) return;
    float value = first(operation);
    for (long long i = threadIdx.x % WARP; i < length; i += WARP) value = combine(operation, value, from[row * length + i]);
    for (int delta = WARP / 2; delta > 0; delta /= 2) value = combine(operation, value, __shfl_down_sync(ALL_LANES, value, delta));
    if (threadIdx.x % WARP == 0) to[row] = operation == 0 ? value / (float)length : value;
}

extern "C" __global__ void __launch_bounds__(256) reduce_columns(const float* __restrict__ from, float* __restrict__ to, long long n, long long length,
                                                                 long long inner, int operation) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    const float* in = from + i / inner * length * inner + i % inner;
    float value = first(operation);
    for (long long j = 0; j < length; j++) value = combine(operation, value, in[j * inner]);
    to[i] = operation == 0 ? value / (float)length : value;
}
