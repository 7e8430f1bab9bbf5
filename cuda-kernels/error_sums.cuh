// The sums of a layer's errors and float outputs, as the kernels add them up. Sums are double: e^2 of a million
// positions keeps 9 digits.
#pragma once
#include "rebias.cuh"

struct Sums {
    double e, ee, f, ff;
};

__device__ __forceinline__ void add(Sums& s, double e, double f) {
    s.e += e;
    s.ee += e * e;
    s.f += f;
    s.ff += f * f;
}

// The four sums over a warp in six exchanges instead of twenty: in the first two steps a lane hands over the sums that
// it does not go on with. Lane 8 k ends with sum k.
__device__ __forceinline__ double sum_warp(const Sums& s, int lane) {
    bool upper = (lane & 16) != 0;
    double a = upper ? s.f : s.e;
    double b = upper ? s.ff : s.ee;
    a += __shfl_xor_sync(ALL_LANES, upper ? s.e : s.f, 16);
    b += __shfl_xor_sync(ALL_LANES, upper ? s.ee : s.ff, 16);
    bool right = (lane & 8) != 0;
    double sum = right ? b : a;
    sum += __shfl_xor_sync(ALL_LANES, right ? a : b, 8);
    sum += __shfl_xor_sync(ALL_LANES, sum, 4);
    sum += __shfl_xor_sync(ALL_LANES, sum, 2);
    sum += __shfl_xor_sync(ALL_LANES, sum, 1);
    return sum;
}
