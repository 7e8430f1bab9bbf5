// Class sums: a layer's input summed up by class of taps. Along each spatial dimension, indices that meet the same
// kernel elements (taps) are a class; a combination has one class per dimension. From the sums follows the mean of
// whatever a layer with that kernel makes of the input.
//
// class_sums_float, class_sums_uint8, class_sums_int8
//   in   x        [entries, channels, a, b, c], by strides in elements: up to three spatial dimensions, or rows of
//                 which each is a channel's
//        members  int: for each dimension [classes + 1] starts, then [size] indices, class after class
//   out  parts    double [entries, combinations, channels], the last dimension's classes running fastest; of integers
//                 less zero
//   Reads every element once, 4 bytes of a float and 1 of an integer: at 2 TB/s 2 ms or 0.5 ms per 10^9 elements. A
//   warp adds up one entry's and channel's elements of one combination and writes 8 bytes; the lists of members stay in
//   the caches. Integers are added as such, for most cards have few units for doubles, and exactly; floats as doubles.
// class_sums_fold
//   Adds the parts to totals double [combinations, channels], entries one after another.
#include "rebias.cuh"

struct Window {
    int classes[3];
    int size[3];
    long long stride[3];
    long long channel;
    long long entry;
};

// The indices of one class.
struct Members {
    const int* at;
    int count;
};

__device__ __forceinline__ Members members_of(const int* __restrict__ lists, int class_) {
    Members m;
    m.at = lists + lists[class_];
    m.count = lists[class_ + 1] - lists[class_];
    return m;
}

template <typename Sum, typename T>
__device__ __forceinline__ void sum_class(const T* __restrict__ x, const int* __restrict__ members,
                                          double* __restrict__ parts, int warps, int channels, const Window& w,
                                          int zero) {
    // 32 bits suffice: each warp leaves 8 bytes. Where an element lies takes 64.
    int warp = blockIdx.x * (256 / WARP) + threadIdx.x / WARP;
    if (warp >= warps) return;
    int combinations = w.classes[0] * w.classes[1] * w.classes[2];
    int channel = warp % channels;
    int k = warp / channels % combinations;
    long long entry = warp / channels / combinations;
    const int* lists = members;
    Members a = members_of(lists, k / w.classes[2] / w.classes[1]);
    lists += w.classes[0] + 1 + w.size[0];
    Members b = members_of(lists, k / w.classes[2] % w.classes[1]);
    lists += w.classes[1] + 1 + w.size[1];
    Members c = members_of(lists, k % w.classes[2]);
    const T* own = x + entry * w.entry + channel * w.channel;
    int lane = threadIdx.x % WARP;
    Sum sum = 0;
    // Lanes lie side by side along the last two dimensions, taken as one.
    int plane = b.count * c.count;
    for (int i = 0; i < a.count; i++) {
        const T* slice = own + a.at[i] * w.stride[0];
#pragma unroll 1
        for (int j = lane; j < plane; j += WARP) {
            int row = j / c.count;
            sum += (Sum)slice[b.at[row] * w.stride[1] + c.at[j - row * c.count] * w.stride[2]];
        }
    }
    for (int step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, step);
    if (lane == 0) parts[warp] = (double)sum - (double)zero * a.count * plane;
}

extern "C" __global__ void __launch_bounds__(256)
    class_sums_float(const float* __restrict__ x, const int* __restrict__ members, double* __restrict__ parts,
                     int warps, int channels, Window w, int zero) {
    sum_class<double>(x, members, parts, warps, channels, w, zero);
}

extern "C" __global__ void __launch_bounds__(256)
    class_sums_uint8(const unsigned char* __restrict__ x, const int* __restrict__ members, double* __restrict__ parts,
                     int warps, int channels, Window w, int zero) {
    sum_class<long long>(x, members, parts, warps, channels, w, zero);
}

extern "C" __global__ void __launch_bounds__(256)
    class_sums_int8(const signed char* __restrict__ x, const int* __restrict__ members, double* __restrict__ parts,
                    int warps, int channels, Window w, int zero) {
    sum_class<long long>(x, members, parts, warps, channels, w, zero);
}

extern "C" __global__ void __launch_bounds__(256)
    class_sums_fold(const double* __restrict__ parts, double* __restrict__ totals, long long entries, int sums) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= sums) return;
    double total = totals[i];
    for (long long entry = 0; entry < entries; entry++) total += parts[entry * sums + i];
    totals[i] = total;
}
