// Layers on 8-bit integers, whole convolutions: y[m, p] = sum over k of (q[k, p] - zero) w[m, k], k running over the
// channels of the layer's group and the kernel's taps. Data are read as bytes, channels first, unfolded on the fly;
// nothing is written here: who includes this takes the sums and goes on with them.
//
// integer_tile     for groups of many filters: on tensor cores, 8-bit by 8-bit into int32, which is exact
// integer_direct   for groups of few filters, such as depthwise ones: with the processors' own multiply-adds
//
// Weights are integers of up to 24 bits. The tensor cores take them as planes of 8-bit digits: w = sum over planes of
// 256^plane digit, and so are the sums put together. (W_f - W_q, which is no integer, is rounded to the nearest one in
// units of the channel's own, 2^-23 of its largest weight: as near as float32 has it.)
//
// A block reads its own part of the data once per 64 filters (from the second-level cache but for the first time), byte
// by byte, neighbours in one line of 32 threads, and 64 x 32 weights of each plane for every 64 x 64 x 32 products.
#pragma once
#include "rebias.cuh"

#define TILE 64          // filters and positions of a block
#define STEP 32          // products of each that are added at a time
#define TILE_ROW 48      // bytes from one row of a tile to the next in shared memory: no two lanes meet in a bank
#define TILE_BYTES(planes) (((planes) + 1) * TILE * TILE_ROW)
#define OUTPUT_ROW (TILE + 4)                      // floats from one row of outputs to the next, likewise
#define OUTPUT_BYTES (TILE * OUTPUT_ROW * 4)  // more than the tiles of up to 4 planes take

struct IntegerLayer {
    int samples, groups;
    int image, group_image;  // elements of one sample of x, and of one group's channels in it
    int height, width;       // of x
    int out_width, positions;
    int stride_h, stride_w, begin_h, begin_w;
    int products;        // of each sum
    int steps;           // these in whole steps
    int filters, tiles;  // of each group, and in whole tiles
    int position_tiles;
    int zero;
    int lanes;  // positions that can be stored at once: 4 where they are a multiple of that, else 1
};

// What a filter's sum stands for: (sum - offset) unit.
struct Filter {
    long long offset;
    double unit;
};

template <typename Byte>
struct IsSigned {
    static constexpr bool value = false;
};
template <>
struct IsSigned<signed char> {
    static constexpr bool value = true;
};

// What a sum's product takes of x, whose window begins at a row and a column. tap.x: how far from there in memory;
// tap.y: how many rows down (upper half, less than 2^14) and columns to the right.
template <typename Byte>
__device__ __forceinline__ int element(const Byte* __restrict__ x, const IntegerLayer& g, int2 tap, int row,
                                       int column) {
    int h = row + (tap.y >> 16), w = column + (tap.y & 0xffff);
    bool inside = (unsigned)h < (unsigned)g.height && (unsigned)w < (unsigned)g.width;
    return inside ? (int)x[tap.x + row * g.width + column] : g.zero;
}

// ---- tensor cores

// The products of 16 rows of every plane of a, and of 32 rows of b, over 32 columns, added to c. In a lane's hands are
// [plane][n][i]: row lane / 4, 8 further down for i = 2 and 3, and column 8 n + lane % 4 * 2 + i % 2 (PTX ISA, the
// fragments of mma.m16n8k32: lane / 4 and four bytes from lane % 4 * 4 on in each matrix, then 8 rows, then 16 columns
// further).
template <typename Byte, int PLANES>
__device__ __forceinline__ void multiply_tile(int (&c)[PLANES][4][4], const unsigned char* a, const unsigned char* b) {
#ifdef EMULATED_TENSOR_CORES
    emulator_multiply_tile(&c[0][0][0], a, TILE * TILE_ROW, b, TILE_ROW, PLANES, IsSigned<Byte>::value);
#else
    int at = threadIdx.x % WARP / 4 * TILE_ROW + threadIdx.x % 4 * 4;
    int right[4][2];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        right[n][0] = *reinterpret_cast<const int*>(b + 8 * n * TILE_ROW + at);
        right[n][1] = *reinterpret_cast<const int*>(b + 8 * n * TILE_ROW + at + 16);
    }
#pragma unroll
    for (int plane = 0; plane < PLANES; plane++) {
        const unsigned char* from = a + plane * TILE * TILE_ROW + at;
        int left[4];
        left[0] = *reinterpret_cast<const int*>(from);
        left[1] = *reinterpret_cast<const int*>(from + 8 * TILE_ROW);
        left[2] = *reinterpret_cast<const int*>(from + 16);
        left[3] = *reinterpret_cast<const int*>(from + 8 * TILE_ROW + 16);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            int* d = c[plane][n];
#if __CUDA_ARCH__ >= 800
#define MULTIPLY(data)                                                                       \
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8." data                                     \
        ".s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"               \
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                     \
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[n][0]), "r"(right[n][1]))
#else
// Turing has a quarter of it: 8 rows, 16 columns.
#define QUARTER(data, first, row, half)                                                      \
    asm("mma.sync.aligned.m8n8k16.row.col.s32.s8." data ".s32 {%0, %1}, {%2}, {%3}, {%0, %1};" \
        : "+r"(d[first]), "+r"(d[first + 1])                                                 \
        : "r"(left[row + 2 * half]), "r"(right[n][half]))
#define MULTIPLY(data)       \
    QUARTER(data, 0, 0, 0);  \
    QUARTER(data, 2, 1, 0);  \
    QUARTER(data, 0, 0, 1);  \
    QUARTER(data, 2, 1, 1)
#endif
            if (IsSigned<Byte>::value) {
                MULTIPLY("s8");
            } else {
                MULTIPLY("u8");
            }
        }
    }
#endif
}

// A block's place: tile of filters of a group, tile of positions, sample; filters run fastest, so that what blocks read
// of x together is still in the cache.
struct Place {
    int group, tile, position, sample;
};

__device__ __forceinline__ Place place_of(const IntegerLayer& g, unsigned block) {
    Place p;
    unsigned filters = g.groups * g.tiles;
    unsigned at = block / filters;
    unsigned tile = block - at * filters;
    p.group = tile / g.tiles;
    p.tile = tile - p.group * g.tiles;
    p.sample = at / g.position_tiles;
    p.position = (at - p.sample * g.position_tiles) * TILE;
    return p;
}

// The sums of a block's 64 filters and 64 positions, in the hands that multiply_tile says; warp w has filters from
// 16 (w % 4) on and positions from 32 (w / 4) on.
//   weights  [groups, tiles, steps, planes, 64, 32]; taps [32 steps]; shared TILE_BYTES(PLANES)
template <typename Byte, int PLANES>
__device__ __forceinline__ void integer_tile(const IntegerLayer& g, const Place& place, const Byte* __restrict__ x,
                                             const signed char* __restrict__ weights, const int2* __restrict__ taps,
                                             unsigned char* shared, int (&c)[PLANES][4][4]) {
    // Of the weights each thread brings pieces of 16 bytes, of the data 8 products of one position.
    constexpr int PIECES = PLANES * TILE * STEP / 16;
    constexpr int MINE = (PIECES + 255) / 256;
    int thread = threadIdx.x;
    int position = place.position + thread % TILE;
    int row = position / g.out_width;
    int column = (position - row * g.out_width) * g.stride_w - g.begin_w;
    // A position that is not there reads padding.
    row = position < g.positions ? row * g.stride_h - g.begin_h : -(1 << 16);
    const Byte* own = x + (long long)place.sample * g.image + place.group * g.group_image;
    const signed char* tile = weights + (long long)(place.group * g.tiles + place.tile) * g.steps * (PIECES * 16);
    unsigned char* data = shared + PLANES * TILE * TILE_ROW;
    int4 left[MINE];
    int2 right;
#pragma unroll
    for (int p = 0; p < PLANES; p++)
        for (int n = 0; n < 4; n++)
            for (int i = 0; i < 4; i++) c[p][n][i] = 0;
#pragma unroll 1
    for (int step = -1; step < g.steps; step++) {
        if (step >= 0) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < MINE; i++) {
                int piece = thread + 256 * i;
                if (piece < PIECES)
                    *reinterpret_cast<int4*>(shared + piece / 2 * TILE_ROW + piece % 2 * 16) = left[i];
            }
            *reinterpret_cast<int2*>(data + thread % TILE * TILE_ROW + thread / TILE * 8) = right;
            __syncthreads();
        }
        if (step + 1 < g.steps) {
            // The next step's are on their way while this one's are multiplied.
            const signed char* from = tile + (long long)(step + 1) * (PIECES * 16);
#pragma unroll
            for (int i = 0; i < MINE; i++) {
                int piece = thread + 256 * i;
                if (piece < PIECES) left[i] = *reinterpret_cast<const int4*>(from + 16 * piece);
            }
            const int2* tap = taps + (step + 1) * STEP + thread / TILE * 8;
            unsigned word[2] = {0, 0};
#pragma unroll
            for (int k = 0; k < 8; k++)
                word[k / 4] |= (unsigned)(element(own, g, tap[k], row, column) & 255) << (k % 4 * 8);
            right = make_int2((int)word[0], (int)word[1]);
        }
        if (step >= 0) {
            int warp = thread / WARP;
            multiply_tile<Byte, PLANES>(c, shared + warp % 4 * 16 * TILE_ROW, data + warp / 4 * 32 * TILE_ROW);
        }
    }
}

// The integer that planes FIRST to LAST of a sum stand for.
template <int FIRST, int LAST, int PLANES>
__device__ __forceinline__ long long whole(const int (&c)[PLANES][4][4], int n, int i) {
    long long sum = c[LAST][n][i];
#pragma unroll
    for (int p = LAST - 1; p >= FIRST; p--) sum = sum * 256 + c[p][n][i];
    return sum;
}

// Takes a block through the outputs of 64 filters at 64 positions: `each(i, lanes, y)` is called for lanes neighbours
// of the output from element i on, once for every one.
template <typename Index, typename Byte, int PLANES, typename Each>
__device__ __forceinline__ void integer_outputs_tile(const IntegerLayer& g, const Byte* __restrict__ x,
                                                     const signed char* __restrict__ weights,
                                                     const int2* __restrict__ taps, const Filter* __restrict__ filters,
                                                     unsigned char* shared, const Each& each) {
    int c[PLANES][4][4];
    Place place = place_of(g, blockIdx.x);
    integer_tile<Byte, PLANES>(g, place, x, weights, taps, shared, c);
    // By way of shared memory, so that neighbours in memory come to neighbouring threads.
    float* y = reinterpret_cast<float*>(shared);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    __syncthreads();
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = warp % 4 * 16 + lane / 4 + 8 * half;
        int filter = place.tile * TILE + row;
        if (filter < g.filters) {
            Filter f = filters[place.group * g.filters + filter];
#pragma unroll
            for (int n = 0; n < 4; n++)
                for (int i = 0; i < 2; i++)
                    y[row * OUTPUT_ROW + warp / 4 * 32 + 8 * n + lane % 4 * 2 + i] =
                        (float)(whole<0, PLANES - 1>(c, n, 2 * half + i) - f.offset) * (float)f.unit;
        }
    }
    __syncthreads();
#pragma unroll 1
    for (int q = threadIdx.x * g.lanes; q < TILE * TILE; q += 256 * g.lanes) {
        int filter = place.tile * TILE + q / TILE;
        int position = place.position + q % TILE;
        if (filter >= g.filters || position >= g.positions) continue;
        Index channel = (Index)place.sample * g.groups * g.filters + place.group * g.filters + filter;
        const float* from = y + q / TILE * OUTPUT_ROW + q % TILE;
        float own[4];
#pragma unroll
        for (int l = 0; l < 4; l++) own[l] = l < g.lanes ? from[l] : 0.0f;
        each(channel * g.positions + position, g.lanes, own);
    }
}

// ---- few filters to a group

// Four neighbouring positions of one filter: at(l) is the window's first element.
struct Windows {
    int row[4], column[4];
};

__device__ __forceinline__ Windows windows_of(const IntegerLayer& g, int position) {
    Windows w;
    int row = position / g.out_width;
    int column = position - row * g.out_width;
#pragma unroll
    for (int l = 0; l < 4; l++) {
        w.row[l] = row * g.stride_h - g.begin_h;
        w.column[l] = column * g.stride_w - g.begin_w;
        if (++column == g.out_width) {
            column = 0;
            row++;
        }
    }
    return w;
}

// As integer_outputs_tile, a thread for the positions that are stored at once; weights int [groups filters, products].
template <typename Index, typename Byte, typename Each>
__device__ __forceinline__ void integer_outputs_direct(const IntegerLayer& g, const Byte* __restrict__ x,
                                                       const int* __restrict__ weights, const int2* __restrict__ taps,
                                                       const Filter* __restrict__ filters, const Each& each) {
    long long item = (long long)blockIdx.x * 256 + threadIdx.x;
    int items = g.positions / g.lanes;
    long long line = item / items;
    int position = (int)(item - line * items) * g.lanes;
    int channels = g.groups * g.filters;
    int sample = (int)(line / channels);
    int filter = (int)(line - (long long)sample * channels);
    if (sample >= g.samples) return;
    const Byte* own = x + (long long)sample * g.image + filter / g.filters * g.group_image;
    const int* w = weights + (long long)filter * g.products;
    Windows at = windows_of(g, position);
    int sum[4] = {0, 0, 0, 0};
#pragma unroll 1
    for (int k = 0; k < g.products; k++) {
        int2 tap = taps[k];
        int weight = w[k];
#pragma unroll
        for (int l = 0; l < 4; l++)
            if (l < g.lanes) sum[l] += (element(own, g, tap, at.row[l], at.column[l]) - g.zero) * weight;
    }
    float unit = (float)filters[filter].unit;
    float y[4];
#pragma unroll
    for (int l = 0; l < 4; l++) y[l] = (float)sum[l] * unit;
    each((Index)line * g.positions + position, g.lanes, y);
}
