// Gather and GatherElements: elements of 1, 2, 4 or 8 bytes at places that a tensor of indices names.
//   gather           data [outer, size, inner], index [count]: to[o, c, i] = data[o, index[c], i]
//   gather_elements  to[p] = data[p with index[p] along one axis]; place: the index's sizes with the data's strides,
//                    0 along the axis
// Indices are int64 (wide) or int32; negative ones count from the end. One that is still outside gives `missing`: NaN
// for floats, so that what follows says so.
// Reads and writes each output once, and its index: 8 bytes per float of long rows, 16 where every element has an index
// of its own; at 2 TB/s 4 ms or 8 ms per 10^9 floats.
#include "rebias.cuh"

__device__ __forceinline__ long long index_of(const void* __restrict__ index, int wide, long long i, long long size) {
    long long k = wide ? static_cast<const long long*>(index)[i] : (long long)static_cast<const int*>(index)[i];
    k = k < 0 ? k + size : k;
    return k < size ? k : -1;
}

template <typename T>
__device__ __forceinline__ void gather(const T* __restrict__ from, T* __restrict__ to, long long n,
                                       const void* __restrict__ index, int wide, long long size, long long count,
                                       long long inner, long long missing) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    long long line = i / inner;
    long long outer = line / count;
    long long k = index_of(index, wide, line - outer * count, size);
    to[i] = k < 0 ? (T)missing : from[(outer * size + k) * inner + i - line * inner];
}

template <typename T>
__device__ __forceinline__ void gather_elements(const T* __restrict__ from, T* __restrict__ to, long long n,
                                                const void* __restrict__ index, int wide, long long size,
                                                long long stride, long long missing, const StridedIndex& place) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    long long k = index_of(index, wide, i, size);
    to[i] = k < 0 ? (T)missing : from[offset(place, i) + k * stride];
}

extern "C" __global__ void __launch_bounds__(256)
    gather_1(const unsigned char* __restrict__ from, unsigned char* __restrict__ to, long long n,
             const void* __restrict__ index, int wide, long long size, long long count, long long inner,
             long long missing) {
    gather(from, to, n, index, wide, size, count, inner, missing);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_2(const unsigned short* __restrict__ from, unsigned short* __restrict__ to, long long n,
             const void* __restrict__ index, int wide, long long size, long long count, long long inner,
             long long missing) {
    gather(from, to, n, index, wide, size, count, inner, missing);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_4(const unsigned int* __restrict__ from, unsigned int* __restrict__ to, long long n,
             const void* __restrict__ index, int wide, long long size, long long count, long long inner,
             long long missing) {
    gather(from, to, n, index, wide, size, count, inner, missing);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_8(const unsigned long long* __restrict__ from, unsigned long long* __restrict__ to, long long n,
             const void* __restrict__ index, int wide, long long size, long long count, long long inner,
             long long missing) {
    gather(from, to, n, index, wide, size, count, inner, missing);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_elements_1(const unsigned char* __restrict__ from, unsigned char* __restrict__ to, long long n,
                      const void* __restrict__ index, int wide, long long size, long long stride, long long missing,
                      StridedIndex place) {
    gather_elements(from, to, n, index, wide, size, stride, missing, place);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_elements_2(const unsigned short* __restrict__ from, unsigned short* __restrict__ to, long long n,
                      const void* __restrict__ index, int wide, long long size, long long stride, long long missing,
                      StridedIndex place) {
    gather_elements(from, to, n, index, wide, size, stride, missing, place);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_elements_4(const unsigned int* __restrict__ from, unsigned int* __restrict__ to, long long n,
                      const void* __restrict__ index, int wide, long long size, long long stride, long long missing,
                      StridedIndex place) {
    gather_elements(from, to, n, index, wide, size, stride, missing, place);
}

extern "C" __global__ void __launch_bounds__(256)
    gather_elements_8(const unsigned long long* __restrict__ from, unsigned long long* __restrict__ to, long long n,
                      const void* __restrict__ index, int wide, long long size, long long stride, long long missing,
                      StridedIndex place) {
    gather_elements(from, to, n, index, wide, size, stride, missing, place);
}
