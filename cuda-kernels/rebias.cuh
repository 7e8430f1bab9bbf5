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

// Indices over up to six dimensions, outermost first: sizes, and how far apart neighbours lie. Those before `first` are
// of size 1. Where `narrow`, there are fewer than 2^31 elements, and n / size[d] is
//   floor((floor(n * magic[d] / 2^32) + n) / 2^shift[d])
// (Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994): four instructions, where
// a division takes some thirty of 32 bits and a hundred of 64.
#define RANK 6
struct StridedIndex {
    long long size[RANK];
    long long stride[RANK];
    unsigned magic[RANK];
    int shift[RANK];
    int first;
    int narrow;
};

__device__ __forceinline__ unsigned quotient(const StridedIndex& index, int d, unsigned n) {
    return ((unsigned)((unsigned long long)n * index.magic[d] >> 32) + n) >> index.shift[d];
}

// Calls use(d, p) for the i-th element's place p in each dimension d.
template <typename Use>
__device__ __forceinline__ void places(const StridedIndex& index, long long i, Use use) {
    if (index.narrow) {
        unsigned rest = (unsigned)i;
#pragma unroll
        for (int d = RANK - 1; d >= 0; d--) {
            unsigned p = 0;
            if (d >= index.first) {
                unsigned next = quotient(index, d, rest);
                p = rest - next * (unsigned)index.size[d];
                rest = next;
            }
            use(d, (long long)p);
        }
    } else {
#pragma unroll
        for (int d = RANK - 1; d >= 0; d--) {
            long long p = 0;
            if (d >= index.first) {
                long long next = i / index.size[d];
                p = i - next * index.size[d];
                i = next;
            }
            use(d, p);
        }
    }
}

// Where the i-th element lies.
__device__ __forceinline__ long long offset(const StridedIndex& index, long long i) {
    long long at = 0;
    places(index, i, [&](int d, long long p) { at += p * index.stride[d]; });
    return at;
}
