// Samples that are stored as bytes, as the floats that they stand for, in the network's layout: seen as
// [outer, channels, inner],
//   y[o, c, i] = table[256 c + codes[offset + o outer_stride + c channel_stride + i inner_stride]]
// The table has what the host's normalisation makes of each byte, so the values are the host's to the last bit. Reads 1
// byte and writes 4 per element, one thread each; the table stays in the caches. Pixels whose channels lie side by side
// are read once per channel from there, too.
#include "rebias.cuh"

extern "C" __global__ void __launch_bounds__(256)
    decode(const unsigned char* __restrict__ codes, const float* __restrict__ table, float* __restrict__ y, long long n,
           long long channels, long long inner, long long outer_stride, long long channel_stride,
           long long inner_stride, long long offset) {
    long long at = (long long)blockIdx.x * 256 + threadIdx.x;
    if (at >= n) return;
    long long row = at / inner, o = row / channels;
    long long i = at - row * inner, c = row - o * channels;
    y[at] = table[256 * c + codes[offset + o * outer_stride + c * channel_stride + i * inner_stride]];
}
