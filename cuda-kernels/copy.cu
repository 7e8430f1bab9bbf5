// Moving elements: Slice, Split, Transpose, Concat, Expand, Tile, DepthToSpace, SpaceToDepth, and cutting the padding
// off, each by one strided index into source and target.
//   to[to_offset + index_to(i)] = from[from_offset + index_from(i)] for i in [0, n)
// One kernel per size of an element. Reads and writes each once: 8 bytes per float, 2 per quantised value; at 2 TB/s
// 4 ms per 10^9 floats where both run along memory.
#include "rebias.cuh"

template <typename T>
__device__ __forceinline__ void copy(const T* __restrict__ from, T* __restrict__ to, long long n, long long from_offset,
                                     long long to_offset, const StridedIndex& index_from,
                                     const StridedIndex& index_to) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i < n) to[to_offset + offset(index_to, i)] = from[from_offset + offset(index_from, i)];
}

extern "C" __global__ void __launch_bounds__(256)
    copy_1(const unsigned char* __restrict__ from, unsigned char* __restrict__ to, long long n, long long from_offset,
           long long to_offset, StridedIndex index_from, StridedIndex index_to) {
    copy(from, to, n, from_offset, to_offset, index_from, index_to);
}

extern "C" __global__ void __launch_bounds__(256)
    copy_2(const unsigned short* __restrict__ from, unsigned short* __restrict__ to, long long n, long long from_offset,
           long long to_offset, StridedIndex index_from, StridedIndex index_to) {
    copy(from, to, n, from_offset, to_offset, index_from, index_to);
}

extern "C" __global__ void __launch_bounds__(256)
    copy_4(const float* __restrict__ from, float* __restrict__ to, long long n, long long from_offset,
           long long to_offset, StridedIndex index_from, StridedIndex index_to) {
    copy(from, to, n, from_offset, to_offset, index_from, index_to);
}

extern "C" __global__ void __launch_bounds__(256)
    copy_8(const unsigned long long* __restrict__ from, unsigned long long* __restrict__ to, long long n,
           long long from_offset, long long to_offset, StridedIndex index_from, StridedIndex index_to) {
    copy(from, to, n, from_offset, to_offset, index_from, index_to);
}
