// Pad: out[i] = in[i - begin] where that exists; elsewhere a constant (mode 0), the nearest element (edge, 1), or the
// mirrored one (reflect, 2).
//   out: dense, sizes out.size; in: sizes in.size, strides in.stride; begin: per dimension in begins.stride.
// Writes 4 bytes per output and reads as much: at 2 TB/s 4 ms per 10^9 elements.
#include "rebias.cuh"

extern "C" __global__ void __launch_bounds__(256)
    pad(const float* __restrict__ from, float* __restrict__ to, long long n, StridedIndex out, StridedIndex in,
        StridedIndex begins, int mode, float value) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    long long at = 0;
    bool inside = true;
    places(out, i, [&](int d, long long place) {
        long long p = place - begins.stride[d];
        long long size = in.size[d];
        if (mode == 1) {
            p = p < 0 ? 0 : p >= size ? size - 1 : p;
        } else if (mode == 2 && size > 1) {
            long long period = 2 * (size - 1);
            p = p < 0 ? -p : p;
            p %= period;
            p = p < size ? p : period - p;
        }
        inside = inside && p >= 0 && p < size;
        at += p * in.stride[d];
    });
    to[i] = inside ? from[at] : value;
}
