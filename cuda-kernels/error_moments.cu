// Error moments: the sums of a layer's errors and outputs from which its correction follows.
//
// error_moments_warp, error_moments_block, error_moments_features
//   in   a       float [rows, channels, inner]   the error (of the weights' difference), or the reference's output
//        q       float [rows, channels, inner]   the quantised layer's output, both without biases
//   out  parts   double [rows * chunks, channels, 4]   sum e, sum e^2, sum y_f, sum y_f^2 of each piece
//   Reads 8 bytes per element, once, 16 bytes at a time where a channel's elements begin at a multiple of that: at
//   2 TB/s 4 ms per 10^9 elements. What is written is 32 bytes per piece of up to 8192 elements.
// error_moments_fold
//   Adds the parts to totals double [5, channels], samples one after another: a sample's sums do not depend on the
//   batch it came in.
//
// A piece never spans samples or channels, and its order of summation follows from its length alone, not from where it
// lies: a sample's sums are the same in every row of every batch.
#include "error_sums.cuh"

#define FOLD_CHANNELS 8
#define FOLD_ROWS 64

// e = a where a is the error; a - q where it is the reference's output. y_f = e + q. The biases' part is added on the
// host, in closed form.
__device__ __forceinline__ void add(Sums& s, float a, float q, bool difference) {
    double x = a;
    double y = q;
    add(s, difference ? x - y : x, difference ? x : x + y);
}

__device__ __forceinline__ float4 load_four(const float* __restrict__ at, bool aligned) {
    return aligned ? *reinterpret_cast<const float4*>(at) : make_float4(at[0], at[1], at[2], at[3]);
}

// The part of one of `threads` threads in a piece: every threads-th four elements, and of what is left behind them
// every threads-th. Which elements a thread adds, and in which order, follows from their places in the piece; where the
// piece lies decides only whether four can be read at once.
__device__ __forceinline__ Sums sum_piece(const float* __restrict__ a, const float* __restrict__ q, long long start,
                                          int length, int thread, int threads, bool difference) {
    Sums s = {0, 0, 0, 0};
    int fours = length / 4;
    bool aligned = (start & 3) == 0;
    a += start;
    q += start;
#pragma unroll 2
    for (int i = thread; i < fours; i += threads) {
        float4 x = load_four(a + 4 * i, aligned);
        float4 y = load_four(q + 4 * i, aligned);
        add(s, x.x, y.x, difference);
        add(s, x.y, y.y, difference);
        add(s, x.z, y.z, difference);
        add(s, x.w, y.w, difference);
    }
#pragma unroll 1
    for (int i = 4 * fours + thread; i < length; i += threads) add(s, a[i], q[i], difference);
    return s;
}

// Where a piece lies: piece = (row * channels + channel) * chunks + chunk.
struct Piece {
    long long start, part;
    int length, channel;
};

__device__ __forceinline__ Piece piece_of(long long piece, int channels, long long inner, int chunks) {
    int chunk = (int)(piece % chunks);
    long long line = piece / chunks;
    long long row = line / channels;
    long long rest = inner - (long long)chunk * CHUNK;
    Piece p;
    p.channel = (int)(line % channels);
    p.start = line * inner + (long long)chunk * CHUNK;
    p.length = (int)(rest < CHUNK ? rest : CHUNK);
    p.part = (row * chunks + chunk) * channels + p.channel;
    return p;
}

// Short pieces: one warp each, 8 warps per block.
extern "C" __global__ void __launch_bounds__(256)
    error_moments_warp(const float* __restrict__ a, const float* __restrict__ q, double* __restrict__ parts,
                       long long pieces, int channels, long long inner, int chunks, int difference) {
    long long piece = (long long)blockIdx.x * (256 / WARP) + threadIdx.x / WARP;
    if (piece >= pieces) return;
    Piece p = piece_of(piece, channels, inner, chunks);
    int lane = threadIdx.x % WARP;
    double sum = sum_warp(sum_piece(a, q, p.start, p.length, lane, WARP, difference != 0), lane);
    if (lane % 8 == 0) parts[4 * p.part + lane / 8] = sum;
}

// Long pieces: one block each.
extern "C" __global__ void __launch_bounds__(256)
    error_moments_block(const float* __restrict__ a, const float* __restrict__ q, double* __restrict__ parts,
                        int channels, long long inner, int chunks, int difference) {
    __shared__ double warps[256 / WARP][4];
    Piece p = piece_of(blockIdx.x, channels, inner, chunks);
    int lane = threadIdx.x % WARP;
    double sum = sum_warp(sum_piece(a, q, p.start, p.length, threadIdx.x, 256, difference != 0), lane);
    if (lane % 8 == 0) warps[threadIdx.x / WARP][lane / 8] = sum;
    __syncthreads();
    if (threadIdx.x < 4) {
        double total = 0;
        for (int w = 0; w < 256 / WARP; w++) total += warps[w][threadIdx.x];
        parts[4 * p.part + threadIdx.x] = total;
    }
}

// Channels last (inner = 1): one thread per channel and run of rows; neighbouring threads read neighbouring channels.
//   a, q: float [units, rows, channels]; a unit's rows are cut into chunks of FEATURE_ROWS.
extern "C" __global__ void __launch_bounds__(256)
    error_moments_features(const float* __restrict__ a, const float* __restrict__ q, double* __restrict__ parts,
                           long long units, long long rows, int channels, int chunks, int difference) {
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= units * chunks * channels) return;
    int channel = (int)(i % channels);
    int chunk = (int)(i / channels % chunks);
    long long unit = i / channels / chunks;
    Sums s = {0, 0, 0, 0};
    long long end = (long long)(chunk + 1) * FEATURE_ROWS;
    end = end < rows ? end : rows;
    for (long long row = (long long)chunk * FEATURE_ROWS; row < end; row++) {
        long long at = (unit * rows + row) * channels + channel;
        add(s, a[at], q[at], difference != 0);
    }
    parts[4 * i] = s.e;
    parts[4 * i + 1] = s.ee;
    parts[4 * i + 2] = s.f;
    parts[4 * i + 3] = s.ff;
}

// parts [units, per_unit, channels, 4] -> totals [5, channels]: the four sums, and the sum over samples of the squared
// mean of e within one.
//   positions: values per unit and channel; weight: samples per unit (1, but where a batch cannot be told apart).
// A block has FOLD_CHANNELS channels, and a thread for each of their sums, which adds in the parts' order; all 256
// threads bring the next FOLD_ROWS parts into shared memory meanwhile, so that no addition waits for memory.
extern "C" __global__ void __launch_bounds__(256)
    error_moments_fold(const double* __restrict__ parts, double* __restrict__ totals, long long units, int per_unit,
                       int channels, double positions, double weight) {
    constexpr int WIDTH = 4 * FOLD_CHANNELS, MINE = FOLD_ROWS * WIDTH / 256;
    __shared__ double rows[FOLD_ROWS][WIDTH];
    int first = blockIdx.x * FOLD_CHANNELS;
    int width = 4 * (channels - first < FOLD_CHANNELS ? channels - first : FOLD_CHANNELS);
    // What this thread brings: one column of every 256 / WIDTH-th row.
    int column = threadIdx.x % WIDTH, row = threadIdx.x / WIDTH;
    bool adds = threadIdx.x < width;
    int channel = first + column / 4, sum = column % 4;
    long long end = units * per_unit;
    double next[MINE];
    double total = adds ? totals[(long long)sum * channels + channel] : 0;
    double squares = adds && sum == 0 ? totals[4LL * channels + channel] : 0;
    double own = 0;
    int left = per_unit;
#pragma unroll 1
    for (long long begin = -FOLD_ROWS; begin < end; begin += FOLD_ROWS) {
        if (begin >= 0) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < MINE; i++) rows[row + i * (256 / WIDTH)][column] = next[i];
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < MINE; i++) {
            long long at = begin + FOLD_ROWS + row + i * (256 / WIDTH);
            next[i] = at < end && column < width ? parts[(at * channels + first) * 4 + column] : 0;
        }
        if (begin < 0 || !adds) continue;
        int there = (int)(end - begin < FOLD_ROWS ? end - begin : FOLD_ROWS);
#pragma unroll 4
        for (int i = 0; i < there; i++) {
            own += rows[i][column];
            if (--left > 0) continue;
            total += own;
            double mean = own / positions;
            squares += mean * mean * weight;
            own = 0;
            left = per_unit;
        }
    }
    if (!adds) return;
    totals[(long long)sum * channels + channel] = total;
    if (sum == 0) totals[4LL * channels + channel] = squares;
}
