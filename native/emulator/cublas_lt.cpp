// libcublasLt.so.13: products by cublasLtMatmul, column-major, of float32 (also with operands of TF32) and of int8 into
// int32.
#include <algorithm>
#include <cstring>

#include "cublas.h"

using namespace emulator;

namespace {

constexpr int COMPUTE_32F = 68;
constexpr int COMPUTE_32I = 72;
constexpr int COMPUTE_32F_FAST_TF32 = 77;
constexpr int R_32F = 0;
constexpr int R_8I = 3;
constexpr int R_32I = 10;
constexpr int DESC_TRANSA = 3;
constexpr int PREF_MAX_WORKSPACE_BYTES = 1;

// What a preference promises of every matrix's address unless it says otherwise, which nobody here does.
constexpr uintptr_t ALIGNMENT = 256;
// Of the algorithm that is offered where the preference allows so much.
constexpr size_t WORKSPACE = 1024;
constexpr uint64_t MAGIC = 0x656d756c61746f72;

struct LtHandle {};

struct Desc {
    int compute;
    int scale;
    bool transposed;
};

struct Layout {
    int type;
    int64_t rows, columns, leading;

    size_t bytes() const { return static_cast<size_t>((columns - 1) * leading + rows) * (type == R_8I ? 1 : 4); }
};

struct Preference {
    uint64_t workspace = 0;
};

struct Algo {
    uint64_t data[8];
};

struct Found {
    Algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

struct Sizes {
    int64_t m, n, k;
};

Sizes sizes(const Desc& d, const Layout& a, const Layout& c) {
    return {c.rows, c.columns, d.transposed ? a.rows : a.columns};
}

Algo algo_for(const Desc& d, const Sizes& s, uint64_t workspace) {
    uint64_t kind = static_cast<uint64_t>(d.compute) * 2 + d.transposed;
    return {{MAGIC, static_cast<uint64_t>(s.m), static_cast<uint64_t>(s.n), static_cast<uint64_t>(s.k), kind, workspace,
             0, 0}};
}

bool alive_all(const char* function, const void* handle, const void* desc,
               std::initializer_list<const Layout*> layouts) {
    bool all = alive(handle, "cuBLASLt handle", function) && alive(desc, "product descriptor", function);
    for (const Layout* l : layouts) all = all && alive(l, "matrix layout", function);
    return all;
}

// Whether the matrices fit each other, and whether cuBLASLt has such a product.
int check(const char* function, const Desc& d, const Layout& a, const Layout& b, const Layout& c, const Layout& to) {
    Sizes s = sizes(d, a, c);
    bool fits = (d.transposed ? a.columns : a.rows) == s.m && b.rows == s.k && b.columns == s.n && to.rows == s.m &&
                to.columns == s.n;
    if (!fits) {
        violation(INVALID_VALUE,
                  "%s: A [%ld, %ld]%s, B [%ld, %ld], C [%ld, %ld] and D [%ld, %ld] do not fit each other", function,
                  a.rows, a.columns, d.transposed ? "^T" : "", b.rows, b.columns, c.rows, c.columns, to.rows,
                  to.columns);
        return CUBLAS_INVALID_VALUE;
    }
    if (d.compute != COMPUTE_32I) {
        bool floats = d.scale == R_32F && a.type == R_32F && b.type == R_32F && c.type == R_32F && to.type == R_32F;
        return floats ? 0 : CUBLAS_NOT_SUPPORTED;
    }
    bool types = d.scale == R_32I && a.type == R_8I && b.type == R_8I && c.type == R_32I && to.type == R_32I;
    // The rules of int8 in columns: the summed index contiguous in both, and whole groups of 4. The number of columns
    // is free.
    bool fours = s.m % 4 == 0 && s.k % 4 == 0 && a.leading % 4 == 0 && b.leading % 4 == 0 && c.leading % 4 == 0 &&
                 to.leading % 4 == 0;
    return types && d.transposed && fours ? 0 : CUBLAS_NOT_SUPPORTED;
}

bool aligned(const char* function, const char* what, const void* address) {
    if (reinterpret_cast<uintptr_t>(address) % ALIGNMENT == 0) return true;
    violation(INVALID_VALUE, "%s: %s at %p is not aligned to the %ld bytes that the algorithm was asked for", function,
              what, address, static_cast<long>(ALIGNMENT));
    return false;
}

template <typename T>
int create(T** to, const char* kind, T value) {
    *to = new T(value);
    born(*to, kind);
    return 0;
}

template <typename T>
int destroy(T* object, const char* kind, const char* function) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called(function, CUBLAS_NOT_INITIALIZED);
    if (!died(object, kind, function)) return CUBLAS_NOT_INITIALIZED;
    delete object;
    return ordered;
}

}  // namespace

EXPORT int cublasLtCreate(LtHandle** handle) {
    ENTER_CONTEXT(cublasLtCreate);
    *handle = new LtHandle{};
    born_on_device(*handle, "cuBLASLt handle");
    return 0;
}

EXPORT int cublasLtDestroy(LtHandle* handle) {
    if (!require_context("cublasLtDestroy")) return CUBLAS_NOT_INITIALIZED;
    return destroy(handle, "cuBLASLt handle", "cublasLtDestroy");
}

EXPORT int cublasLtMatmulDescCreate(Desc** desc, int compute, int scale) {
    ENTER(cublasLtMatmulDescCreate);
    if (compute != COMPUTE_32F && compute != COMPUTE_32F_FAST_TF32 && compute != COMPUTE_32I)
        return CUBLAS_INVALID_VALUE;
    return create(desc, "product descriptor", Desc{compute, scale, false});
}

EXPORT int cublasLtMatmulDescDestroy(Desc* desc) {
    return destroy(desc, "product descriptor", "cublasLtMatmulDescDestroy");
}

EXPORT int cublasLtMatmulDescSetAttribute(Desc* desc, int attribute, const void* value, size_t bytes) {
    ENTER(cublasLtMatmulDescSetAttribute);
    if (!alive(desc, "product descriptor", "cublasLtMatmulDescSetAttribute")) return CUBLAS_INVALID_VALUE;
    int32_t transposed;
    if (attribute != DESC_TRANSA || !value || bytes != sizeof transposed) return CUBLAS_INVALID_VALUE;
    memcpy(&transposed, value, bytes);
    if (transposed != 0 && transposed != 1) return CUBLAS_INVALID_VALUE;
    desc->transposed = transposed == 1;
    return 0;
}

EXPORT int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    ENTER(cublasLtMatrixLayoutCreate);
    bool known = type == R_32F || type == R_8I || type == R_32I;
    if (!known || rows == 0 || columns == 0 || leading < static_cast<int64_t>(rows)) {
        violation(INVALID_VALUE,
                  "cublasLtMatrixLayoutCreate: [%lu, %lu] of type %d does not fit the leading dimension %ld", rows,
                  columns, type, leading);
        return CUBLAS_INVALID_VALUE;
    }
    return create(layout, "matrix layout",
                  Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading});
}

EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) {
    return destroy(layout, "matrix layout", "cublasLtMatrixLayoutDestroy");
}

EXPORT int cublasLtMatmulPreferenceCreate(Preference** preference) {
    ENTER(cublasLtMatmulPreferenceCreate);
    return create(preference, "product preference", Preference{});
}

EXPORT int cublasLtMatmulPreferenceDestroy(Preference* preference) {
    return destroy(preference, "product preference", "cublasLtMatmulPreferenceDestroy");
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value,
                                                size_t bytes) {
    ENTER(cublasLtMatmulPreferenceSetAttribute);
    if (!alive(preference, "product preference", "cublasLtMatmulPreferenceSetAttribute")) return CUBLAS_INVALID_VALUE;
    if (attribute != PREF_MAX_WORKSPACE_BYTES || !value || bytes != sizeof preference->workspace)
        return CUBLAS_INVALID_VALUE;
    memcpy(&preference->workspace, value, bytes);
    return 0;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(LtHandle* handle, const Desc* desc, const Layout* a, const Layout* b,
                                          const Layout* c, const Layout* d, const Preference* preference, int requested,
                                          Found* found, int* returned) {
    const char* function = "cublasLtMatmulAlgoGetHeuristic";
    ENTER_CONTEXT(cublasLtMatmulAlgoGetHeuristic);
    *returned = 0;
    if (!alive_all(function, handle, desc, {a, b, c, d}) || !alive(preference, "product preference", function) ||
        requested < 1)
        return CUBLAS_INVALID_VALUE;
    if (int status = check(function, *desc, *a, *b, *c, *d)) return status;
    size_t workspace = preference->workspace >= WORKSPACE ? WORKSPACE : 0;
    *found = {algo_for(*desc, sizes(*desc, *a, *c), workspace), workspace, 0, 1, {}};
    *returned = 1;
    return 0;
}

EXPORT int cublasLtMatmul(LtHandle* handle, const Desc* desc, const void* alpha, const void* a, const Layout* ad,
                          const void* b, const Layout* bd, const void* beta, const void* c, const Layout* cd, void* d,
                          const Layout* dd, const Algo* algo, void* space, size_t space_bytes, Stream* stream) {
    const char* function = "cublasLtMatmul";
    ENTER_CONTEXT(cublasLtMatmul);
    if (!alive_all(function, handle, desc, {ad, bd, cd, dd})) return CUBLAS_INVALID_VALUE;
    if (!stream || !alive(stream, "stream", function)) {
        violation(INVALID_HANDLE, "%s: it was given no stream", function);
        return CUBLAS_EXECUTION_FAILED;
    }
    if (int status = check(function, *desc, *ad, *bd, *cd, *dd)) return status;
    Sizes s = sizes(*desc, *ad, *cd);
    Algo expected = algo_for(*desc, s, algo ? algo->data[5] : 0);
    if (!algo || memcmp(algo, &expected, sizeof expected) != 0) {
        violation(INVALID_VALUE, "%s: the algorithm was not found for a product of m %ld, n %ld, k %ld", function, s.m,
                  s.n, s.k);
        return CUBLAS_INVALID_VALUE;
    }
    size_t needed = algo->data[5];
    if (space_bytes < needed) {
        violation(INVALID_VALUE, "%s: the algorithm needs a workspace of %zu bytes and was given %zu", function, needed,
                  space_bytes);
        return CUBLAS_INVALID_VALUE;
    }
    if (!aligned(function, "A", a) || !aligned(function, "B", b) || !aligned(function, "C", c) ||
        !aligned(function, "D", d))
        return CUBLAS_INVALID_VALUE;
    // Alpha and beta are the host's, and are read now; a zero is the same bits in both types.
    float scale;
    int32_t whole_scale, beta_bits;
    memcpy(&scale, alpha, sizeof scale);
    memcpy(&whole_scale, alpha, sizeof whole_scale);
    memcpy(&beta_bits, beta, sizeof beta_bits);
    if (beta_bits != 0) {
        violation(INVALID_VALUE, "%s: only a beta of 0 is emulated", function);
        return CUBLAS_NOT_SUPPORTED;
    }
    enqueue(stream, function, [=, desc = *desc, ad = *ad, bd = *bd, dd = *dd] {
        bool there = require_device(a, ad.bytes(), "cublasLtMatmul, A") &&
                     require_device(b, bd.bytes(), "cublasLtMatmul, B") &&
                     require_device(d, dd.bytes(), "cublasLtMatmul, D") &&
                     (needed == 0 || require_device(space, needed, "cublasLtMatmul, workspace"));
        if (!there) return;
        if (needed > 0) memset(space, 0xff, needed);
        bool integers = desc.compute == COMPUTE_32I;
        moved(function, (s.m * s.k + s.k * s.n) * (integers ? 1 : 4), s.m * s.n * 4);
        bool tf32 = desc.compute == COMPUTE_32F_FAST_TF32;
        multiplied(function, integers ? INT8 : tf32 ? TF32 : FP32, s.m * s.n * s.k);
        // cuBLAS's columns are rebias' rows; their number is the batch.
        int64_t first = first_of_sum(s.n, s.k);
        if (integers) {
            multiply<int8_t, int32_t>(
                s.m, s.n, s.k, first, false, whole_scale, {static_cast<const int8_t*>(a), desc.transposed, ad.leading},
                {static_cast<const int8_t*>(b), false, bd.leading}, 0, static_cast<int32_t*>(d), dd.leading);
        } else {
            multiply<float, float>(
                s.m, s.n, s.k, first, tf32, scale, {static_cast<const float*>(a), desc.transposed, ad.leading},
                {static_cast<const float*>(b), false, bd.leading}, 0, static_cast<float*>(d), dd.leading);
        }
    });
    return 0;
}
