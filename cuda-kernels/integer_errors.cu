// Errors of a layer on 8-bit integers, summed up as they are computed: neither they nor the layer's output are written.
//
// integer_errors_tile_u8, .._s8, integer_errors_direct_u8, .._s8   (integer_layer.cuh says which layers are whose)
//   in   x         bytes [samples, channels, height, width]
//        weights   of e = op(x, W_f - W_q) and of y_f = op(x, W_f), 16 bits each: of their sums only variances and mean
//                  squares are asked, for mean errors follow from class sums
//   out  parts     double [samples * pieces, channels, 4]   sum e, sum e^2, sum y_f, sum y_f^2 of each piece
//   Reads 1 byte of x per element, once where the second-level cache holds what 64 positions need of it, and writes 32
//   bytes for every 64 (tile) or 1024 (direct) positions of a channel: at 2 TB/s 0.5 ms per 10^9 elements. Bound by
//   tensor cores where a layer has more than some 500 inputs: four 8-bit products for each of the layer's.
// integer_distances_tile_u8, .._s8, integer_distances_direct_u8, .._s8
//        weights   of y_q = op(x, W_q), 24 bits: as near as float32
//        f         float [samples, channels, positions]   the float layer's output
//   the same of e = y_f - y_q: reads 4 bytes of f per element besides, once.
//
// Which elements a thread adds, and in which order, follows from their positions in the sample: a sample's sums are the
// same in every row of every batch. error_moments_fold adds the parts.
#include "error_sums.cuh"
#include "integer_layer.cuh"

#define ERROR_PLANES 2
#define OUTPUT_PLANES 2
#define DISTANCE_PLANES 3
#define PIECE 1024  // positions of a warp's piece
// Bytes of shared memory: the tiles, and in their place then 4 sums from 8 threads for each filter.
#define SUMS_BYTES (TILE * 8 * 4 * (int)sizeof(double))
#define SHARED SUMS_BYTES
static_assert(SHARED >= TILE_BYTES(ERROR_PLANES + OUTPUT_PLANES), "the tiles do not fit in the place of the sums");

// How e and y_f follow from the sums of the first filter table and the second, at element i of the output.
struct OfError {
    static constexpr int FIRST = ERROR_PLANES, PLANES = ERROR_PLANES + OUTPUT_PLANES;
    __device__ __forceinline__ static void add_to(Sums& s, double first, double second, const float*, long long) {
        add(s, first, second);
    }
};

struct OfDistance {
    static constexpr int FIRST = DISTANCE_PLANES, PLANES = DISTANCE_PLANES;
    __device__ __forceinline__ static void add_to(Sums& s, double first, double, const float* __restrict__ f,
                                                  long long i) {
        double y = f[i];
        add(s, y - first, y);
    }
};

template <typename Byte, typename Of>
__device__ __forceinline__ void errors_tile(const IntegerLayer& g, const Byte* __restrict__ x,
                                            const signed char* __restrict__ weights, const int2* __restrict__ taps,
                                            const Filter* __restrict__ filters, const float* __restrict__ f,
                                            double* __restrict__ parts, unsigned char* shared) {
    constexpr bool TWO = Of::PLANES > Of::FIRST;
    int c[Of::PLANES][4][4];
    Place place = place_of(g, blockIdx.x);
    integer_tile<Byte, Of::PLANES>(g, place, x, weights, taps, shared, c);
    int channels = g.groups * g.filters;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    // [64 filters][8 threads][4 sums]
    double* sums = reinterpret_cast<double*>(shared);
    __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = warp % 4 * 16 + lane / 4 + 8 * half;
        int filter = place.tile * TILE + row;
        int channel = place.group * g.filters + filter;
        Sums s = {0, 0, 0, 0};
        if (filter < g.filters) {
            Filter first = filters[channel];
            Filter second = TWO ? filters[channels + channel] : first;
            long long line = ((long long)place.sample * channels + channel) * g.positions;
#pragma unroll
            for (int n = 0; n < 4; n++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    int position = place.position + warp / 4 * 32 + 8 * n + lane % 4 * 2 + i;
                    if (position >= g.positions) continue;
                    double a = (double)(whole<0, Of::FIRST - 1>(c, n, 2 * half + i) - first.offset) * first.unit;
                    double b = TWO ? (double)(whole<TWO ? Of::FIRST : 0, Of::PLANES - 1>(c, n, 2 * half + i) -
                                              second.offset) *
                                         second.unit
                                   : 0;
                    Of::add_to(s, a, b, f, line + position);
                }
            }
        }
        double* to = sums + (row * 8 + warp / 4 * 4 + lane % 4) * 4;
        to[0] = s.e, to[1] = s.ee, to[2] = s.f, to[3] = s.ff;
    }
    __syncthreads();
    int row = threadIdx.x / 4, sum = threadIdx.x % 4;
    int filter = place.tile * TILE + row;
    if (filter >= g.filters) return;
    double total = 0;
    for (int t = 0; t < 8; t++) total += sums[(row * 8 + t) * 4 + sum];
    long long piece = (long long)place.sample * g.position_tiles + place.position / TILE;
    parts[(piece * channels + place.group * g.filters + filter) * 4 + sum] = total;
}

// A warp for each piece; weights int [channels, products, tables].
template <typename Byte, typename Of>
__device__ __forceinline__ void errors_direct(const IntegerLayer& g, const Byte* __restrict__ x,
                                              const int* __restrict__ weights, const int2* __restrict__ taps,
                                              const Filter* __restrict__ filters, const float* __restrict__ f,
                                              double* __restrict__ parts) {
    constexpr bool TWO = Of::PLANES > Of::FIRST;
    int lane = threadIdx.x % WARP;
    int channels = g.groups * g.filters;
    int pieces = (g.positions + PIECE - 1) / PIECE;
    long long item = (long long)blockIdx.x * (256 / WARP) + threadIdx.x / WARP;
    int channel = (int)(item % channels);
    long long part = item / channels;
    int sample = (int)(part / pieces);
    if (sample >= g.samples) return;
    int begin = (int)(part - (long long)sample * pieces) * PIECE;
    int end = begin + PIECE < g.positions ? begin + PIECE : g.positions;
    const Byte* own = x + (long long)sample * g.image + channel / g.filters * g.group_image;
    const int* w = weights + (long long)channel * g.products * (TWO ? 2 : 1);
    double first = filters[channel].unit;
    double second = TWO ? filters[channels + channel].unit : 0;
    long long line = ((long long)sample * channels + channel) * g.positions;
    Sums s = {0, 0, 0, 0};
#pragma unroll 1
    for (int position = begin + 4 * lane; position < end; position += 4 * WARP) {
        Windows at = windows_of(g, position);
        long long a[4] = {0, 0, 0, 0};
        int b[4] = {0, 0, 0, 0};
#pragma unroll 1
        for (int k = 0; k < g.products; k++) {
            int2 tap = taps[k];
            int weight = w[TWO ? 2 * k : k];
            int other = TWO ? w[2 * k + 1] : 0;
#pragma unroll
            for (int l = 0; l < 4; l++) {
                if (position + l >= end) continue;
                int q = element(own, g, tap, at.row[l], at.column[l]) - g.zero;
                a[l] += (long long)q * weight;
                if (TWO) b[l] += q * other;
            }
        }
#pragma unroll
        for (int l = 0; l < 4; l++)
            if (position + l < end) Of::add_to(s, (double)a[l] * first, (double)b[l] * second, f, line + position + l);
    }
    double sum = sum_warp(s, lane);
    if (lane % 8 == 0) parts[(part * channels + channel) * 4 + lane / 8] = sum;
}

extern "C" __global__ void __launch_bounds__(256)
    integer_errors_tile_u8(IntegerLayer g, const unsigned char* __restrict__ x, const signed char* __restrict__ weights,
                             const int2* __restrict__ taps, const Filter* __restrict__ filters,
                             const float* __restrict__ f, double* __restrict__ parts) {
    __shared__ __align__(16) unsigned char shared[SHARED];
    errors_tile<unsigned char, OfError>(g, x, weights, taps, filters, f, parts, shared);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    integer_errors_direct_u8(IntegerLayer g, const unsigned char* __restrict__ x, const int* __restrict__ weights,
                               const int2* __restrict__ taps, const Filter* __restrict__ filters,
                               const float* __restrict__ f, double* __restrict__ parts) {
    errors_direct<unsigned char, OfError>(g, x, weights, taps, filters, f, parts);
}

extern "C" __global__ void __launch_bounds__(256)
    integer_errors_tile_s8(IntegerLayer g, const signed char* __restrict__ x, const signed char* __restrict__ weights,
                             const int2* __restrict__ taps, const Filter* __restrict__ filters,
                             const float* __restrict__ f, double* __restrict__ parts) {
    __shared__ __align__(16) unsigned char shared[SHARED];
    errors_tile<signed char, OfError>(g, x, weights, taps, filters, f, parts, shared);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    integer_errors_direct_s8(IntegerLayer g, const signed char* __restrict__ x, const int* __restrict__ weights,
                               const int2* __restrict__ taps, const Filter* __restrict__ filters,
                               const float* __restrict__ f, double* __restrict__ parts) {
    errors_direct<signed char, OfError>(g, x, weights, taps, filters, f, parts);
}

extern "C" __global__ void __launch_bounds__(256)
    integer_distances_tile_u8(IntegerLayer g, const unsigned char* __restrict__ x, const signed char* __restrict__ weights,
                             const int2* __restrict__ taps, const Filter* __restrict__ filters,
                             const float* __restrict__ f, double* __restrict__ parts) {
    __shared__ __align__(16) unsigned char shared[SHARED];
    errors_tile<unsigned char, OfDistance>(g, x, weights, taps, filters, f, parts, shared);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    integer_distances_direct_u8(IntegerLayer g, const unsigned char* __restrict__ x, const int* __restrict__ weights,
                               const int2* __restrict__ taps, const Filter* __restrict__ filters,
                               const float* __restrict__ f, double* __restrict__ parts) {
    errors_direct<unsigned char, OfDistance>(g, x, weights, taps, filters, f, parts);
}

extern "C" __global__ void __launch_bounds__(256)
    integer_distances_tile_s8(IntegerLayer g, const signed char* __restrict__ x, const signed char* __restrict__ weights,
                             const int2* __restrict__ taps, const Filter* __restrict__ filters,
                             const float* __restrict__ f, double* __restrict__ parts) {
    __shared__ __align__(16) unsigned char shared[SHARED];
    errors_tile<signed char, OfDistance>(g, x, weights, taps, filters, f, parts, shared);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    integer_distances_direct_s8(IntegerLayer g, const signed char* __restrict__ x, const int* __restrict__ weights,
                               const int2* __restrict__ taps, const Filter* __restrict__ filters,
                               const float* __restrict__ f, double* __restrict__ parts) {
    errors_direct<signed char, OfDistance>(g, x, weights, taps, filters, f, parts);
}
