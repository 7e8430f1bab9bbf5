// MaxPool and AveragePool over two spatial dimensions (one: height 1).
//   in   float [planes, height, width]     planes = samples x channels
//   out  float [planes, out_height, out_width]
// One thread per output. A window's elements come from the cache after the first read, so memory sees each input and output once, 4 bytes each.
#include "rebias.cuh"

struct Pool {
    int height, width, out_height, out_width;
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int top, left;
    // How far the padded input reaches, for averages that count the padding.
    int padded_height, padded_width;
};

extern "C" __global__ void __launch_bounds__(256) pool_max(const float* __restrict__ from, float* __restrict__ to, long long n, Pool p) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    int x = (int)(i % p.out_width);
    int y = (int)(i / p.out_width % p.out_height);
    long long plane = i / p.out_width / p.out_height;
    const float* in = from + plane * p.height * p.width;
    float best = -INFINITY_F;
    for (int a = 0; a < p.kernel_h; a++) {
        int h = y * p.stride_h - p.top + a * p.dilation_h;
        if (h < 0 || h >= p.height) continue;
        for (int b = 0; b < p.kernel_w; b++) {
            int w = x * p.stride_w - p.left + b * p.dilation_w;
            if (w >= 0 && w < p.width) best = fmaxf(best, in[(long long)h * p.width + w]);
        }
    }
    to[i] = best;
}

extern "C" __global__ void __launch_bounds__(256) pool_average(const float* __restrict__ from, float* __restrict__ to, long long n, Pool p,
                                                               int count_padding) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    int x = (int)(i % p.out_width);
    int y = (int)(i / p.out_width % p.out_height);
    long long plane = i / p.out_width / p.out_height;
    const float* in = from + plane * p.height * p.width;
    float sum = 0;
    int inside = 0;
    int padded = 0;
    for (int a = 0; a < p.kernel_h; a++) {
        int h = y * p.stride_h - p.top + a * p.dilation_h;
        for (int b = 0; b < p.kernel_w; b++) {
            int w = x * p.stride_w - p.left + b * p.dilation_w;
            if (h < p.padded_height && w < p.padded_width) padded++;
            if (h >= 0 && h < p.height && w >= 0 && w < p.width) {
                sum += in[(long long)h * p.width + w];
                inside++;
            }
        }
    }
    to[i] = sum / (float)(count_padding ? padded : inside);
}
