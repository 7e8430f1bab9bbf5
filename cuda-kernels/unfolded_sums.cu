// Unfolded sums: a layer's input as rows of what the weights of one output channel meet at one output position,
// and the sums over rows of products of two of their elements. Padding is 0.
//
// unfolded_products_16, unfolded_products_64
//   in   a, b     the tensors that left and right factors come from: the same one, or b the differences below
//        sources  int [positions, taps]: which place of the data a tap meets, or -1 for padding; null where each
//                 position meets the place of its own number
//   out  totals   double [slices, groups, length + 1, length], added to: for each pair of elements the products, and
//                 in the last row the sums of b. Where symmetric is set, tiles on and above the diagonal only.
//   A block computes a tile of 16 or 64 squared pairs of one group over a slice of all rows. 256 products of integers
//   are exact in floats, then they are added to doubles, which are exact for them too. Rows are counted in ints: the
//   host refuses batches of 2^31 - 1024 rows or more, so that no step beyond the last one overflows; places of elements
//   are long long.
//   For 64 * 64 multiply-adds of a row 2 * 64 elements are read, most of them from the caches, so multiply-adds decide:
//   a row of 576 elements has 45 tiles of them, 6 ms per 10^6 rows at 30 * 10^12 multiply-adds per second.
// unfolded_difference
//   out  v = x - scale * q, float: what the float layer's input x is off; reads 5 or 8 bytes and writes 4 per element:
//   at 2 TB/s 4.5 ms or 6 ms per 10^9 elements
// unfolded_fold
//   Adds the other slices' totals to the first's, and clears them: 8 bytes read and written per element and slice, at
//   2 TB/s 0.8 ms per 10^8
#include "rebias.cuh"

// A tensor of float (0), uint8 (1) or int8 (2), of integers less zero.
struct Elements {
    const void* values;
    long long type;
    long long zero;
};

__device__ __forceinline__ float element(const Elements& x, long long i) {
    if (x.type == 0) return ((const float*)x.values)[i];
    int integer = x.type == 1 ? (int)((const unsigned char*)x.values)[i] : (int)((const signed char*)x.values)[i];
    return (float)(integer - (int)x.zero);
}

// What rows are made of; data's strides in elements.
struct Unfolded {
    long long length;     // elements of a row
    long long inputs;     // input channels of a group: a row has them side by side, one tap after the other
    long long taps;       // elements of the kernel
    long long positions;  // output positions of an entry of axis 0
    long long rows;       // of all entries
    long long slices;     // into which rows are cut
    long long entry;
    long long channel;
    long long place;
};

// Rows that are read at a time, and those whose products are added up in floats.
#define STEP 32
#define EXACT 256

template <int TILE>
__device__ __forceinline__ void read_tile(const Elements& x, const int* __restrict__ sources, const int* taps,
                                          const long long* offsets, float (*tile)[TILE + 1], const Unfolded& u,
                                          int first, int end) {
    // Lanes read what lies side by side: places of a channel, or channels of a row.
    bool along = u.place == 1;
    int positions = (int)u.positions;
    for (int i = threadIdx.x; i < STEP * TILE; i += 256) {
        int r = along ? i % STEP : i / TILE;
        int c = along ? i / STEP : i % TILE;
        float value = 0;
        int row = first + r;
        if (row < end && taps[c] >= 0) {
            int entry = row / positions;
            int position = row - entry * positions;
            int source = sources ? sources[(long long)position * u.taps + taps[c]] : position;
            if (source >= 0) value = element(x, entry * u.entry + offsets[c] + source * u.place);
        }
        tile[r][c] = value;
    }
}

template <int TILE>
__device__ __forceinline__ void read_columns(int* taps, long long* offsets, const Unfolded& u, int group, int tile) {
    if (threadIdx.x >= TILE) return;
    int k = tile * TILE + threadIdx.x;
    bool inside = k < u.length;
    int input = inside ? k % (int)u.inputs : 0;
    taps[threadIdx.x] = inside ? k / (int)u.inputs : -1;
    offsets[threadIdx.x] = (group * u.inputs + input) * u.channel;
}

template <int TILE>
struct Shared {
    float left[STEP][TILE + 1];
    float right[STEP][TILE + 1];
    long long left_offsets[TILE];
    long long right_offsets[TILE];
    int left_taps[TILE];
    int right_taps[TILE];
};

template <int TILE>
__device__ __forceinline__ void products(const Elements& a, const Elements& b, const int* __restrict__ sources,
                                         double* __restrict__ totals, Shared<TILE>& shared, const Unfolded& u,
                                         int groups, int symmetric) {
    constexpr int PER = TILE / 16;
    int tiles = (int)((u.length + TILE - 1) / TILE);
    int slice = blockIdx.x % (int)u.slices;
    int pair = blockIdx.x / (int)u.slices;
    int pairs = symmetric ? tiles * (tiles + 1) / 2 : tiles * tiles;
    int group = pair / pairs;
    pair -= group * pairs;
    int first = 0;
    int width = tiles;
    while (pair >= width) {
        pair -= width;
        first++;
        if (symmetric) width--;
    }
    int second = symmetric ? first + pair : pair;
    read_columns<TILE>(shared.left_taps, shared.left_offsets, u, group, first);
    read_columns<TILE>(shared.right_taps, shared.right_offsets, u, group, second);
    __syncthreads();
    // A slice is a whole number of exact runs.
    int share = (int)((u.rows + u.slices * EXACT - 1) / (u.slices * EXACT)) * EXACT;
    long long begin = (long long)slice * share;
    int row = (int)(begin < u.rows ? begin : u.rows);
    int end = (int)(begin + share < u.rows ? begin + share : u.rows);
    int down = threadIdx.x / 16;
    int across = threadIdx.x % 16;
    double sums[PER][PER] = {};
    double column = 0;
    while (row < end) {
        float run[PER][PER] = {};
        float column_run = 0;
        for (int stop = row + EXACT; row < stop && row < end; row += STEP) {
            read_tile<TILE>(a, sources, shared.left_taps, shared.left_offsets, shared.left, u, row, end);
            read_tile<TILE>(b, sources, shared.right_taps, shared.right_offsets, shared.right, u, row, end);
            __syncthreads();
            for (int r = 0; r < STEP; r++) {
                float left[PER];
                float right[PER];
#pragma unroll
                for (int i = 0; i < PER; i++) {
                    left[i] = shared.left[r][down + 16 * i];
                    right[i] = shared.right[r][across + 16 * i];
                }
#pragma unroll
                for (int i = 0; i < PER; i++) {
#pragma unroll
                    for (int j = 0; j < PER; j++) run[i][j] = fmaf(left[i], right[j], run[i][j]);
                }
            }
            if (first == 0 && threadIdx.x < TILE) {
                for (int r = 0; r < STEP; r++) column_run += shared.right[r][threadIdx.x];
            }
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < PER; i++) {
#pragma unroll
            for (int j = 0; j < PER; j++) sums[i][j] += run[i][j];
        }
        column += column_run;
    }
    double* own = totals + ((long long)slice * groups + group) * (u.length + 1) * u.length;
#pragma unroll
    for (int i = 0; i < PER; i++) {
#pragma unroll
        for (int j = 0; j < PER; j++) {
            int k = first * TILE + down + 16 * i;
            int l = second * TILE + across + 16 * j;
            if (k < u.length && l < u.length) own[k * u.length + l] += sums[i][j];
        }
    }
    int l = second * TILE + threadIdx.x;
    if (first == 0 && threadIdx.x < TILE && l < u.length) own[u.length * u.length + l] += column;
}

extern "C" __global__ void __launch_bounds__(256, 2)
    unfolded_products_16(Elements a, Elements b, const int* __restrict__ sources, double* __restrict__ totals,
                         Unfolded u, int groups, int symmetric) {
    __shared__ Shared<16> shared;
    products<16>(a, b, sources, totals, shared, u, groups, symmetric);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    unfolded_products_64(Elements a, Elements b, const int* __restrict__ sources, double* __restrict__ totals,
                         Unfolded u, int groups, int symmetric) {
    __shared__ Shared<64> shared;
    products<64>(a, b, sources, totals, shared, u, groups, symmetric);
}

extern "C" __global__ void __launch_bounds__(256)
    unfolded_difference(const float* __restrict__ x, Elements q, float* __restrict__ v, long long n, float scale) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i < n) v[i] = x[i] - scale * element(q, i);
}

extern "C" __global__ void __launch_bounds__(256) unfolded_fold(double* __restrict__ totals, long long n, int slices) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    double sum = totals[i];
    for (int s = 1; s < slices; s++) {
        sum += totals[s * n + i];
        totals[s * n + i] = 0;
    }
    totals[i] = sum;
}
