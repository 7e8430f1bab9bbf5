// MaxPool and AveragePool over three spatial dimensions; where there are fewer, the first ones have size 1.
//   in   float [planes, size..]     planes = samples x channels
//   out  float [planes, out..]
// One thread per output. A window's elements come from the cache after the first read, so memory sees each input and
// output once, 4 bytes each.
#include "rebias.cuh"

#define SPATIAL 3

struct Pool {
    int size[SPATIAL], out[SPATIAL], kernel[SPATIAL], stride[SPATIAL], dilation[SPATIAL], begin[SPATIAL];
    // How far the padded input reaches, for averages that count the padding.
    int padded[SPATIAL];
};

// Where an output's window begins, and the plane it lies in.
struct Place {
    long long plane;
    int at[SPATIAL];
};

__device__ __forceinline__ Place place_of(long long i, const Pool& p) {
    Place place;
#pragma unroll
    for (int d = SPATIAL - 1; d >= 0; d--) {
        long long next = i / p.out[d];
        place.at[d] = (int)(i - next * p.out[d]) * p.stride[d] - p.begin[d];
        i = next;
    }
    place.plane = i * p.size[0] * p.size[1] * p.size[2];
    return place;
}

__device__ __forceinline__ bool inside(int at, int size) { return at >= 0 && at < size; }

extern "C" __global__ void __launch_bounds__(256)
    pool_max(const float* __restrict__ from, float* __restrict__ to, long long n, Pool p) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    Place place = place_of(i, p);
    float best = -INFINITY_F;
    for (int a = 0; a < p.kernel[0]; a++) {
        int x = place.at[0] + a * p.dilation[0];
        if (!inside(x, p.size[0])) continue;
        for (int b = 0; b < p.kernel[1]; b++) {
            int y = place.at[1] + b * p.dilation[1];
            if (!inside(y, p.size[1])) continue;
            const float* row = from + place.plane + ((long long)x * p.size[1] + y) * p.size[2];
            for (int c = 0; c < p.kernel[2]; c++) {
                int z = place.at[2] + c * p.dilation[2];
                if (inside(z, p.size[2])) best = fmaxf(best, row[z]);
            }
        }
    }
    to[i] = best;
}

extern "C" __global__ void __launch_bounds__(256)
    pool_average(const float* __restrict__ from, float* __restrict__ to, long long n, Pool p, int count_padding) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    Place place = place_of(i, p);
    float sum = 0;
    int within = 0;
    int padded = 0;
    for (int a = 0; a < p.kernel[0]; a++) {
        int x = place.at[0] + a * p.dilation[0];
        for (int b = 0; b < p.kernel[1]; b++) {
            int y = place.at[1] + b * p.dilation[1];
            const float* row = from + place.plane + ((long long)x * p.size[1] + y) * p.size[2];
            for (int c = 0; c < p.kernel[2]; c++) {
                int z = place.at[2] + c * p.dilation[2];
                if (x < p.padded[0] && y < p.padded[1] && z < p.padded[2]) padded++;
                if (inside(x, p.size[0]) && inside(y, p.size[1]) && inside(z, p.size[2])) {
                    sum += row[z];
                    within++;
                }
            }
        }
    }
    to[i] = sum / (float)(count_padding ? padded : within);
}
