// What all kernels share.
//
// Conventions: tensors are dense and row-major; the first element of every tensor lies on a multiple of 256 bytes;
// indices into tensors are long long (tensors may have more than 2^31 elements), unless a kernel is made for a tensor
// that has fewer.
#pragma once

#define WARP 32
#define ALL_LANES 0xffffffffu
#define INFINITY_F __int_as_float(0x7f800000)

// How many elements one warp or block sums up at a time, and how many rows one thread.
#define CHUNK 8192
#define FEATURE_ROWS 256

// Indices over up to six dimensions, outermost first: sizes, and how far apart neighbours lie.
#define RANK 6
struct StridedIndex {
    long long size[RANK];
    long long stride[RANK];
};

// Where the i-th element lies.
__device__ __forceinline__ long long offset(const StridedIndex& index, long long i) {
    long long at = 0;
#pragma unroll
    for (int d = RANK - 1; d > 0; d--) {
        long long next = i / index.size[d];
        at += (i - next * index.size[d]) * index.stride[d];
        i = next;
    }
    return at + i * index.stride[0];
}
