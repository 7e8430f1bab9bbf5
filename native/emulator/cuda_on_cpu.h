// What CUDA C++ sources use beyond C++, for the emulator: put before every kernel source when g++ compiles it.
#pragma once
#include <math.h>
#include <stddef.h>

extern "C" {
struct emulator_index {
    unsigned x, y, z;
};
emulator_index emulator_thread_index();
emulator_index emulator_block_index();
emulator_index emulator_block_size();
emulator_index emulator_grid_size();
void emulator_barrier(int line);
double emulator_shuffle(unsigned mask, double value, int source, int line);
void emulator_vector_access(const void* address, size_t bytes);
void emulator_access(const void* address, size_t bytes, int write);
void emulator_multiply_tile(int* sums, const void* left, int plane, const void* right, int row, int planes,
                            int signed_right);
}

// A warp's part of a product on tensor cores is asked for as a whole, in the place of single instructions.
#define EMULATED_TENSOR_CORES

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static __attribute__((section("emulator_shared")))
#define threadIdx (emulator_thread_index())
#define blockIdx (emulator_block_index())
#define blockDim (emulator_block_size())
#define gridDim (emulator_grid_size())
#define __syncthreads() emulator_barrier(__LINE__)
#define __syncwarp() ((void)emulator_shuffle(~0u, 0, 0, __LINE__))
template <typename T>
__attribute__((no_sanitize("thread"))) inline T emulator_shuffle_of(unsigned mask, T value, unsigned source, int line) {
    return (T)emulator_shuffle(mask, (double)value, (int)source, line);
}
#define __shfl_down_sync(mask, value, delta) emulator_shuffle_of(mask, value, threadIdx.x % 32 + (delta), __LINE__)
#define __shfl_xor_sync(mask, value, lanes) emulator_shuffle_of(mask, value, threadIdx.x % 32 ^ (lanes), __LINE__)

// Vectors that are read and written at once. Copying one says so, with its address, because the compiler may take the
// copy apart.
template <typename T, size_t N>
struct alignas(sizeof(T) * N) emulator_vector {
    T x, y, z, w;
    emulator_vector() = default;
    __attribute__((no_sanitize("thread"))) emulator_vector(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
    __attribute__((no_sanitize("thread"))) emulator_vector(const emulator_vector& o) {
        check(&o, 0);
        x = o.x, y = o.y, z = o.z, w = o.w;
    }
    __attribute__((no_sanitize("thread"))) emulator_vector& operator=(const emulator_vector& o) {
        check(&o, 0);
        check(this, 1);
        x = o.x, y = o.y, z = o.z, w = o.w;
        return *this;
    }

  private:
    __attribute__((no_sanitize("thread"))) static void check(const void* p, int write) {
        emulator_vector_access(p, sizeof(T) * N);
        emulator_access(p, sizeof(T) * N, write);
    }
};
typedef emulator_vector<float, 4> float4;
typedef emulator_vector<unsigned char, 4> uchar4;
typedef emulator_vector<signed char, 4> char4;
typedef emulator_vector<int, 4> int4;
struct alignas(8) int2 {
    int x, y;
    int2() = default;
    __attribute__((no_sanitize("thread"))) int2(int a, int b) : x(a), y(b) {}
    __attribute__((no_sanitize("thread"))) int2(const int2& o) : x(o.x), y(o.y) { check(&o, 0); }
    __attribute__((no_sanitize("thread"))) int2& operator=(const int2& o) {
        check(&o, 0);
        check(this, 1);
        x = o.x, y = o.y;
        return *this;
    }

  private:
    __attribute__((no_sanitize("thread"))) static void check(const void* p, int write) {
        emulator_vector_access(p, 8);
        emulator_access(p, 8, write);
    }
};
inline float __int_as_float(int bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
inline float4 make_float4(float x, float y, float z, float w) { return float4(x, y, z, w); }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) {
    return uchar4(x, y, z, w);
}
inline int2 make_int2(int x, int y) { return int2(x, y); }
inline char4 make_char4(signed char x, signed char y, signed char z, signed char w) { return char4(x, y, z, w); }

// The entry points of a kernel: NVRTC's stand-in writes EMULATOR_KERNEL(name) behind the source for each.
template <typename... A>
struct emulator_arguments;
template <>
struct emulator_arguments<> {
    static constexpr int count = 0;
    template <typename F, typename... G>
    static void call(F f, const char*, G... given) {
        f(given...);
    }
    static size_t bytes() { return 0; }
    static void store(char*, void**) {}
};
template <typename A, typename... R>
struct emulator_arguments<A, R...> {
    static constexpr int count = 1 + emulator_arguments<R...>::count;
    static constexpr size_t size = (sizeof(A) + 7) / 8 * 8;
    static size_t bytes() { return size + emulator_arguments<R...>::bytes(); }
    __attribute__((no_sanitize("thread"))) static void store(char* to, void** from) {
        __builtin_memcpy(to, from[0], sizeof(A));
        emulator_arguments<R...>::store(to + size, from + 1);
    }
    template <typename F, typename... G>
    __attribute__((no_sanitize("thread"))) static void call(F f, const char* at, G... given) {
        A mine;
        __builtin_memcpy(&mine, at, sizeof(A));
        emulator_arguments<R...>::call(f, at + size, given..., mine);
    }
};
template <typename... A>
emulator_arguments<A...> emulator_arguments_of(void (*)(A...));

#define EMULATOR_KERNEL(name)                                                                            \
    extern "C" int emulator_parameters_##name() { return decltype(emulator_arguments_of(name))::count; } \
    extern "C" void* emulator_pack_##name(void** arguments) {                                            \
        char* packed = (char*)__builtin_malloc(decltype(emulator_arguments_of(name))::bytes() + 8);      \
        decltype(emulator_arguments_of(name))::store(packed, arguments);                                 \
        return packed;                                                                                   \
    }                                                                                                    \
    extern "C" void emulator_run_##name(void* packed) {                                                  \
        decltype(emulator_arguments_of(name))::call(name, (const char*)packed);                          \
    }                                                                                                    \
    extern "C" void emulator_drop_##name(void* packed) { __builtin_free(packed); }
