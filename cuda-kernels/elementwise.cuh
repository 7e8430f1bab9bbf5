// The parts of elementwise kernels. The kernels themselves are written by rebias for each group of operations that
// follow from each other (the corrected bias, the activation function, quantise, dequantise, the other branch): one
// thread takes four neighbouring elements through the whole group.
//
// A group reads each of its full-size inputs once (4 bytes per float, 1 per quantised value) and writes each of its
// outputs once, 16 bytes at a time; what is broadcast comes from the cache. Bias, clip, quantise and dequantise: 4
// bytes read, 1 + 4 written; at 2 TB/s 4.5 ms per 10^9 elements.
#pragma once
#include "rebias.cuh"

// ---- four neighbours of a tensor of the group's own shape; `lanes` of them exist

__device__ __forceinline__ void load(const float* __restrict__ from, Index i, int lanes, float* to) {
    if (lanes == 4) {
        float4 v = *reinterpret_cast<const float4*>(from + i);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else {
        for (int l = 0; l < 4; l++) to[l] = l < lanes ? from[i + l] : 0.0f;
    }
}

__device__ __forceinline__ void load(const unsigned char* __restrict__ from, Index i, int lanes, float* to) {
    if (lanes == 4) {
        uchar4 v = *reinterpret_cast<const uchar4*>(from + i);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else {
        for (int l = 0; l < 4; l++) to[l] = l < lanes ? from[i + l] : 0.0f;
    }
}

__device__ __forceinline__ void load(const signed char* __restrict__ from, Index i, int lanes, float* to) {
    if (lanes == 4) {
        char4 v = *reinterpret_cast<const char4*>(from + i);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else {
        for (int l = 0; l < 4; l++) to[l] = l < lanes ? from[i + l] : 0.0f;
    }
}

__device__ __forceinline__ void store(float* __restrict__ to, Index i, int lanes, const float* from) {
    if (lanes == 4) {
        *reinterpret_cast<float4*>(to + i) = make_float4(from[0], from[1], from[2], from[3]);
    } else {
        for (int l = 0; l < lanes; l++) to[i + l] = from[l];
    }
}

__device__ __forceinline__ void store(unsigned char* __restrict__ to, Index i, int lanes, const float* from) {
    if (lanes == 4) {
        *reinterpret_cast<uchar4*>(to + i) =
            make_uchar4((unsigned char)from[0], (unsigned char)from[1], (unsigned char)from[2], (unsigned char)from[3]);
    } else {
        for (int l = 0; l < lanes; l++) to[i + l] = (unsigned char)from[l];
    }
}

__device__ __forceinline__ void store(signed char* __restrict__ to, Index i, int lanes, const float* from) {
    if (lanes == 4) {
        *reinterpret_cast<char4*>(to + i) =
            make_char4((signed char)from[0], (signed char)from[1], (signed char)from[2], (signed char)from[3]);
    } else {
        for (int l = 0; l < lanes; l++) to[i + l] = (signed char)from[l];
    }
}

// ---- operands that are broadcast

// One value per channel: tensors [.., channels, inner].
template <typename T>
__device__ __forceinline__ void load_channel(const T* __restrict__ from, Index i, int lanes, Index inner,
                                             Index channels, float* to) {
    Index line = i / inner;
    Index position = i - line * inner;
    Index channel = line % channels;
    for (int l = 0; l < 4; l++) {
        to[l] = l < lanes ? (float)from[channel] : 0.0f;
        if (++position == inner) {
            position = 0;
            if (++channel == channels) channel = 0;
        }
    }
}

template <typename T>
__device__ __forceinline__ void load_index(const T* __restrict__ from, Index i, int lanes, const StridedIndex& index,
                                           float* to) {
    for (int l = 0; l < 4; l++) to[l] = l < lanes ? (float)from[offset(index, i + l)] : 0.0f;
}

__device__ __forceinline__ void fill(float value, float* to) {
    for (int l = 0; l < 4; l++) to[l] = value;
}

// ---- operations (ONNX operator specification)

// saturate(round(x / scale) + zero), rounding half to even. Whether x / scale is above, below or on the middle between
// two steps is decided exactly: the remainder x - q * scale has no more bits than a float, so fmaf gives it without
// rounding, where the rounded quotient could fall on the wrong side.
__device__ __forceinline__ float quantize(float x, float scale, float zero, float low, float high) {
    float q = rintf(x / scale);
    if (fabsf(q) < 4194304.0f) {
        float rest = fmaf(-q, scale, x);
        float twice = 2.0f * fabsf(rest);
        bool odd = fabsf(q - 2.0f * truncf(q * 0.5f)) == 1.0f;
        if (twice > scale || (twice == scale && odd)) q += rest > 0.0f ? 1.0f : -1.0f;
    }
    return fminf(fmaxf(q + zero, low), high);
}

__device__ __forceinline__ float dequantize(float q, float scale, float zero) { return (q - zero) * scale; }

__device__ __forceinline__ float clip(float x, float low, float high) { return fminf(fmaxf(x, low), high); }

__device__ __forceinline__ float hard_sigmoid(float x, float alpha, float beta) {
    return fmaxf(0.0f, fminf(1.0f, alpha * x + beta));
}

__device__ __forceinline__ float hard_swish(float x) { return x * hard_sigmoid(x, 1.0f / 6.0f, 0.5f); }

__device__ __forceinline__ float sigmoid(float x) {
    float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

__device__ __forceinline__ float leaky_relu(float x, float alpha) { return x < 0.0f ? alpha * x : x; }

__device__ __forceinline__ float elu(float x, float alpha) { return x < 0.0f ? alpha * expm1f(x) : x; }

__device__ __forceinline__ float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }
