// Resize: of the last two dimensions at once, by nearest neighbour or linearly:
//   float [planes, height, width] -> [planes, out_height, out_width]
// Which inputs an output row or column comes from, and with which weight, is the same for every plane; the host works
// it out (as the ONNX specification says for each mode) and hands it over as tables:
//   rows int [out_height, 2], row_weights float [out_height]: weight w of the second, 1 - w of the first; columns
//   likewise
// Nearest neighbour is a weight of 0. Writes 4 bytes per output; the inputs come from the cache after the first read.
#include "rebias.cuh"

extern "C" __global__ void __launch_bounds__(256)
    resize(const float* __restrict__ from, float* __restrict__ to, long long n, int height, int width, int out_height,
           int out_width, const int* __restrict__ rows, const float* __restrict__ row_weights,
           const int* __restrict__ columns, const float* __restrict__ column_weights) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    int x = (int)(i % out_width);
    int y = (int)(i / out_width % out_height);
    const float* in = from + i / out_width / out_height * height * width;
    const float* upper = in + (long long)rows[2 * y] * width;
    const float* lower = in + (long long)rows[2 * y + 1] * width;
    int left = columns[2 * x];
    int right = columns[2 * x + 1];
    float v = row_weights[y];
    float u = column_weights[x];
    float a = u == 0.0f ? upper[left] : upper[left] * (1.0f - u) + upper[right] * u;
    float b = u == 0.0f ? lower[left] : lower[left] * (1.0f - u) + lower[right] * u;
    to[i] = v == 0.0f ? a : a * (1.0f - v) + b * v;
}

// Along one axis: float [outer, in, inner] -> [outer, out, inner], a weighted sum of `taps` inputs per output, for
// whatever the kernel above is not for: cubic interpolation, other axes than the last two.
//   inputs int [out, taps], weights float [out, taps]; an input of -1: the output lies outside, and is `outside`.
extern "C" __global__ void __launch_bounds__(256)
    resize_axis(const float* __restrict__ from, float* __restrict__ to, long long n, long long in, long long out,
                long long inner, const int* __restrict__ inputs, const float* __restrict__ weights, int taps,
                float outside) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    long long line = i / inner;
    long long outer = line / out;
    long long position = line - outer * out;
    const float* base = from + outer * in * inner + i - line * inner;
    float sum = 0;
    for (int t = 0; t < taps; t++) {
        int k = inputs[position * taps + t];
        if (k < 0) {
            sum = outside;
            break;
        }
        sum += base[k * inner] * weights[position * taps + t];
    }
    to[i] = sum;
}
