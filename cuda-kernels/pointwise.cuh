// The parts of pointwise kernels: single nodes whose every output element follows from one element of each input, of
// any types, where no group of floats can take them (elementwise.cuh): comparisons, choices, casts, arithmetic on
// integers, functions that networks seldom use. rebias writes the kernels themselves:
//   y[i] = f(x0[index0(i)], x1[index1(i)], ..)
// one thread per output. Reads each input and writes the output once, where both run along memory.
#pragma once
#include "elementwise.cuh"

// ---- arithmetic of integers: as C has it, but nothing stops the machine. Comparisons are with 1: with 0 they would be
// none for unsigned types.

// Whether dividing by b overflows for the smallest integer: by -1, where there is one.
template <typename T>
__device__ __forceinline__ bool is_minus_one(T b) {
    return b == (T)-1 && (T)-1 < (T)1;
}

template <typename T>
__device__ __forceinline__ T quotient(T a, T b) {
    if (b == 0) return 0;
    return is_minus_one(b) ? (T)(0 - a) : (T)(a / b);
}

// The remainder with the divisor's sign, as Python has it.
template <typename T>
__device__ __forceinline__ T modulo(T a, T b) {
    if (b == 0 || is_minus_one(b)) return 0;
    T rest = (T)(a % b);
    return rest != 0 && ((rest < (T)1) != (b < (T)1)) ? (T)(rest + b) : rest;
}

// The remainder with the dividend's sign, as C has it.
template <typename T>
__device__ __forceinline__ T remainder_of(T a, T b) {
    return b == 0 || is_minus_one(b) ? (T)0 : (T)(a % b);
}

__device__ __forceinline__ float remainder_of(float a, float b) { return fmodf(a, b); }

template <typename T>
__device__ __forceinline__ T larger(T a, T b) {
    return a > b || a != a ? a : b;
}

template <typename T>
__device__ __forceinline__ T smaller(T a, T b) {
    return a < b || a != a ? a : b;
}

template <typename T>
__device__ __forceinline__ T sign(T a) {
    if (a == (T)0 || a != a) return (T)0;
    return a > (T)0 ? (T)1 : (T)-1;
}

template <typename T>
__device__ __forceinline__ T magnitude(T a) {
    return a > (T)0 ? a : (T)(0 - a);
}

// ---- conversions (ONNX Cast)

// Fractions are cut off; what an integer cannot hold is undefined in ONNX, and keeps the low bits here.
template <typename T, typename F>
__device__ __forceinline__ T to_integer(F x) {
    return (T)(long long)x;
}

// ---- functions (ONNX operator specification)

__device__ __forceinline__ float celu(float x, float alpha) {
    return fmaxf(x, 0.0f) + fminf(0.0f, alpha * expm1f(x / alpha));
}

__device__ __forceinline__ float selu(float x, float alpha, float gamma) {
    return gamma * (x > 0.0f ? x : alpha * expm1f(x));
}

__device__ __forceinline__ float shrink(float x, float bias, float lambda) {
    return x < -lambda ? x + bias : x > lambda ? x - bias : 0.0f;
}

__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }

__device__ __forceinline__ float gelu_tanh(float x) {
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

__device__ __forceinline__ bool is_infinite(float x, float positive, float negative) {
    return (positive != 0.0f && x == INFINITY_F) || (negative != 0.0f && x == -INFINITY_F);
}
