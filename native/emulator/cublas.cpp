// libcublas.so.13: matrix products of float32, column-major as cuBLAS has them.
#include "cublas.h"

using namespace emulator;

namespace {

constexpr int TF32_TENSOR_OP_MATH = 3;

struct Handle {
    Stream* stream = nullptr;
    int math = 0;
};

struct Matrix {
    const float* at;
    bool transposed;
    int64_t leading;
    int64_t stride;

    Columns<float> of(int64_t batch) const { return {at + batch * stride, transposed, leading}; }

    size_t bytes(int64_t rows, int64_t columns, int64_t batches) const {
        int64_t outer = transposed ? rows : columns;
        int64_t inner = transposed ? columns : rows;
        return static_cast<size_t>((batches - 1) * stride + (outer - 1) * leading + inner) * sizeof(float);
    }
};

int product(Handle* handle, const char* function, int transpose_a, int transpose_b, int m, int n, int k,
            const float* alpha, Matrix a, Matrix b, const float* beta, float* c, int ldc, int64_t stride_c,
            int batches) {
    if (!alive(handle, "cuBLAS handle", function)) return CUBLAS_NOT_INITIALIZED;
    a.transposed = transpose_a != 0;
    b.transposed = transpose_b != 0;
    bool fits = m >= 0 && n >= 0 && k >= 0 && batches >= 0 && ldc >= std::max(1, m) &&
                a.leading >= std::max(1, a.transposed ? k : m) && b.leading >= std::max(1, b.transposed ? n : k);
    if (!fits) {
        violation(INVALID_VALUE, "%s: m %d, n %d, k %d do not fit leading dimensions %ld, %ld, %d", function, m, n, k,
                  a.leading, b.leading, ldc);
        return CUBLAS_INVALID_VALUE;
    }
    if (!handle->stream || !alive(handle->stream, "stream", function)) {
        violation(INVALID_HANDLE, "%s: the handle has no stream of its own", function);
        return CUBLAS_EXECUTION_FAILED;
    }
    if (m == 0 || n == 0 || batches == 0) return 0;
    float scale = *alpha;
    float keep = *beta;
    bool tf32 = handle->math == TF32_TENSOR_OP_MATH;
    std::string name = function;
    enqueue(handle->stream, function, [=] {
        bool there =
            require_device(a.at, a.bytes(m, k, batches), (name + ", A").c_str()) &&
            require_device(b.at, b.bytes(k, n, batches), (name + ", B").c_str()) &&
            require_device(c, static_cast<size_t>((batches - 1) * stride_c + int64_t{n - 1} * ldc + m) * sizeof(float),
                           (name + ", C").c_str());
        if (!there) return;
        auto size = [batches](int64_t values, int64_t stride) {
            return values * (stride == 0 ? 1 : batches) * static_cast<int64_t>(sizeof(float));
        };
        int64_t result = size(int64_t{m} * n, 1);
        moved(name.c_str(), size(int64_t{m} * k, a.stride) + size(int64_t{k} * n, b.stride) + (keep == 0 ? 0 : result),
              result);
        multiplied(name.c_str(), tf32 ? TF32 : FP32, int64_t{m} * n * k * batches);
        // cuBLAS's columns are rebias' rows; their number is the batch.
        int64_t first = first_of_sum(int64_t{n} * batches, k);
        for (int64_t i = 0; i < batches; i++)
            multiply(m, n, k, first, tf32, scale, a.of(i), b.of(i), keep, c + i * stride_c, ldc);
    });
    return 0;
}

}  // namespace

EXPORT const char* cublasGetStatusName(int status) {
    switch (status) {
        case 0:
            return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_NOT_INITIALIZED:
            return "CUBLAS_STATUS_NOT_INITIALIZED";
        case CUBLAS_INVALID_VALUE:
            return "CUBLAS_STATUS_INVALID_VALUE";
        case CUBLAS_EXECUTION_FAILED:
            return "CUBLAS_STATUS_EXECUTION_FAILED";
        case CUBLAS_NOT_SUPPORTED:
            return "CUBLAS_STATUS_NOT_SUPPORTED";
        default:
            return "CUBLAS_STATUS unknown";
    }
}

EXPORT const char* cublasGetStatusString(int status) { return cublasGetStatusName(status); }

EXPORT int cublasCreate_v2(Handle** handle) {
    ENTER_CONTEXT(cublasCreate_v2);
    *handle = new Handle();
    born_on_device(*handle, "cuBLAS handle");
    return 0;
}

EXPORT int cublasDestroy_v2(Handle* handle) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cublasDestroy_v2", CUBLAS_NOT_INITIALIZED);
    if (!require_context("cublasDestroy_v2")) return CUBLAS_NOT_INITIALIZED;
    if (!died(handle, "cuBLAS handle", "cublasDestroy")) return CUBLAS_NOT_INITIALIZED;
    delete handle;
    return ordered;
}

EXPORT int cublasGetProperty(int property, int* value) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    if (int ordered = called("cublasGetProperty", CUBLAS_EXECUTION_FAILED)) return ordered;
    const int version[] = {13, 2, 0};
    if (property < 0 || property > 2) return CUBLAS_INVALID_VALUE;
    *value = version[property];
    return 0;
}

EXPORT int cublasSetStream_v2(Handle* handle, Stream* stream) {
    ENTER_CONTEXT(cublasSetStream_v2);
    if (!alive(handle, "cuBLAS handle", "cublasSetStream") || !alive(stream, "stream", "cublasSetStream"))
        return CUBLAS_NOT_INITIALIZED;
    handle->stream = stream;
    return 0;
}

EXPORT int cublasSetMathMode(Handle* handle, int mode) {
    ENTER_CONTEXT(cublasSetMathMode);
    if (!alive(handle, "cuBLAS handle", "cublasSetMathMode")) return CUBLAS_NOT_INITIALIZED;
    handle->math = mode;
    return 0;
}

EXPORT int cublasSgemm_v2(Handle* handle, int ta, int tb, int m, int n, int k, const float* alpha, const float* a,
                          int lda, const float* b, int ldb, const float* beta, float* c, int ldc) {
    ENTER_CONTEXT(cublasSgemm_v2);
    return product(handle, "cublasSgemm", ta, tb, m, n, k, alpha, {a, false, lda, 0}, {b, false, ldb, 0}, beta, c, ldc,
                   0, 1);
}

EXPORT int cublasSgemmStridedBatched(Handle* handle, int ta, int tb, int m, int n, int k, const float* alpha,
                                     const float* a, int lda, int64_t stride_a, const float* b, int ldb,
                                     int64_t stride_b, const float* beta, float* c, int ldc, int64_t stride_c,
                                     int batches) {
    ENTER_CONTEXT(cublasSgemmStridedBatched);
    return product(handle, "cublasSgemmStridedBatched", ta, tb, m, n, k, alpha, {a, false, lda, stride_a},
                   {b, false, ldb, stride_b}, beta, c, ldc, stride_c, batches);
}
