// libcudnn_cnn.so.9: convolutions, forward and transposed.
#include <cmath>
#include <cstring>

#include "cudnn.h"
#include "cudnn_convolution.h"

using namespace emulator;

namespace {

constexpr int CROSS_CORRELATION = 1;
constexpr int FLOAT = 0;
constexpr int FMA_MATH = 3;

struct ConvolutionDescriptor {
    std::vector<int64_t> pads, strides, dilations;
    int groups = 1;
    int math = 0;  // CUDNN_DEFAULT_MATH, which on a real card rounds to TF32
};

struct Performance {
    int algorithm;
    int status;
    float time;
    size_t memory;
    int determinism;
    int math;
    int reserved[3];
};

int64_t size_out(int64_t in, int64_t kernel, int64_t pad, int64_t stride, int64_t dilation) {
    return (in + 2 * pad - ((kernel - 1) * dilation + 1)) / stride + 1;
}

// Whether the descriptors fit each other: x [n, c, in..], w [m, c / groups, kernel..], y [n, m, out..].
bool fits(const TensorDescriptor& x, const FilterDescriptor& w, const ConvolutionDescriptor& c,
          const TensorDescriptor& y) {
    size_t rank = x.dims.size();
    if (w.dims.size() != rank || y.dims.size() != rank || c.pads.size() != rank - 2) return false;
    bool good = x.dims[0] == y.dims[0] && x.dims[1] == w.dims[1] * c.groups && y.dims[1] == w.dims[0] &&
                w.dims[0] % c.groups == 0;
    for (size_t i = 0; i + 2 < rank; i++) {
        int64_t out = size_out(x.dims[i + 2], w.dims[i + 2], c.pads[i], c.strides[i], c.dilations[i]);
        bool inside = (w.dims[i + 2] - 1) * c.dilations[i] + 1 <= x.dims[i + 2] + 2 * c.pads[i];
        good = good && inside && out == y.dims[i + 2] && out > 0;
    }
    for (const TensorDescriptor* t : {&x, &y}) {
        int64_t dense = 1;
        for (size_t i = rank; i-- > 0;) {
            good = good && t->strides[i] == dense;
            dense *= t->dims[i];
        }
    }
    return good;
}

// Algorithms as cuDNN numbers them; what each needs is made up, but never nothing where the real one needs something.
size_t workspace(int algorithm, const FilterDescriptor& w, const TensorDescriptor& x) {
    switch (algorithm) {
        case 0:
            return 0;
        case 1:
            return 256 + w.bytes();
        default:
            return 1024 + 2 * w.bytes() + x.bytes();
    }
}

const char* const FORWARD = "forward";
const char* const BACKWARD = "backward";

Support asked(const char* call, int algorithm, const FilterDescriptor& w, const ConvolutionDescriptor& c) {
    return support({call,
                    algorithm,
                    "float",
                    c.math == FMA_MATH ? "fma" : "tensor",
                    {w.dims.begin() + 2, w.dims.end()},
                    c.strides,
                    c.dilations,
                    c.groups});
}

int unsupported(const char* call, int algorithm, const FilterDescriptor& w, const ConvolutionDescriptor& c) {
    bool dilated = false;
    for (int64_t d : c.dilations) dilated = dilated || d > 1;
    return refuse(CUDNN_NOT_SUPPORTED,
                  "convolution %s: algorithm %d does not support %zu spatial dimensions%s, %d groups", call, algorithm,
                  w.dims.size() - 2, dilated ? " with dilation" : "", c.groups);
}

// As the real one may: the fastest first, which is not what rebias wants (its sums are not those of float32, or in any
// order), and fewer than were asked for.
int algorithms(const char* call, const TensorDescriptor* x, const FilterDescriptor* w, const ConvolutionDescriptor* c,
               int requested, int* returned, Performance* to) {
    const std::vector<int> order = call == FORWARD ? std::vector<int>{6, 1, 0} : std::vector<int>{4, 0, 1};
    *returned = 0;
    for (int algorithm : order) {
        if (*returned == requested) break;
        Support support = asked(call, algorithm, *w, *c);
        Performance p{};
        p.algorithm = algorithm;
        p.status = support == UNSUPPORTED ? CUDNN_NOT_SUPPORTED : 0;
        p.memory = workspace(algorithm, *w, *x);
        p.determinism = support == FIXED_ORDER;
        p.math = c->math;
        to[(*returned)++] = p;
    }
    return 0;
}

Convolution geometry(const TensorDescriptor& x, const FilterDescriptor& w, const ConvolutionDescriptor& c,
                     const TensorDescriptor& y) {
    Convolution g{};
    g.batch = x.dims[0];
    g.groups = c.groups;
    g.in_channels = x.dims[1];
    g.out_channels = y.dims[1];
    size_t spatial = x.dims.size() - 2;
    for (size_t i = 0; i < 3; i++) {
        bool there = i + spatial >= 3;
        size_t d = i + spatial - 3;
        g.in[i] = there ? x.dims[d + 2] : 1;
        g.out[i] = there ? y.dims[d + 2] : 1;
        g.kernel[i] = there ? w.dims[d + 2] : 1;
        g.pad[i] = there ? c.pads[d] : 0;
        g.stride[i] = there ? c.strides[d] : 1;
        g.dilation[i] = there ? c.dilations[d] : 1;
    }
    return g;
}

std::vector<float> tf32(const float* from, size_t n) {
    std::vector<float> rounded(from, from + n);
    for (float& f : rounded) f = to_tf32(f);
    return rounded;
}

struct Call {
    TensorDescriptor x, y;
    FilterDescriptor w;
    ConvolutionDescriptor c;
    float alpha, beta;
    int algorithm;
    void* space;
    size_t space_bytes;
};

int check(const char* function, const char* kind, const CudnnHandle* handle, const Call& call) {
    if (!handle->stream || !alive(handle->stream, "stream", function)) {
        violation(INVALID_HANDLE, "%s: the handle has no stream of its own", function);
        return CUDNN_EXECUTION_FAILED;
    }
    if (!fits(call.x, call.w, call.c, call.y)) {
        violation(INVALID_VALUE, "%s: the descriptors do not fit each other", function);
        return refuse(CUDNN_BAD_PARAM, "convolution: the descriptors do not fit each other");
    }
    if (asked(kind, call.algorithm, call.w, call.c) == UNSUPPORTED)
        return unsupported(kind, call.algorithm, call.w, call.c);
    size_t needed = workspace(call.algorithm, call.w, call.x);
    if (call.space_bytes < needed) {
        violation(INVALID_VALUE, "%s: algorithm %d needs a workspace of %zu bytes and was given %zu", function,
                  call.algorithm, needed, call.space_bytes);
        return CUDNN_BAD_PARAM;
    }
    return 0;
}

// What a convolution moves, each tensor once, and multiplies, products with padding included.
void count_work(const char* function, const Call& call, const TensorDescriptor& from, const TensorDescriptor& to) {
    auto bytes = [](const auto& d) { return static_cast<int64_t>(d.bytes()); };
    moved(function, bytes(from) + bytes(call.w) + (call.beta == 0 ? 0 : bytes(to)), bytes(to));
    int64_t outputs = bytes(call.y) / static_cast<int64_t>(sizeof(float));
    multiplied(function, call.c.math == FMA_MATH ? FP32 : TF32,
               outputs * (bytes(call.w) / static_cast<int64_t>(sizeof(float)) / call.w.dims[0]));
}

bool spoil_workspace(const char* function, const Call& call) {
    if (call.space_bytes == 0) return true;
    if (!require_device(call.space, call.space_bytes, function)) return false;
    memset(call.space, 0xff, call.space_bytes);
    return true;
}

bool alive_all(const char* function, const void* handle, const void* x, const void* w, const void* c, const void* y) {
    return alive(handle, "cuDNN handle", function) && alive(x, "tensor descriptor", function) &&
           alive(w, "filter descriptor", function) && alive(c, "convolution descriptor", function) &&
           alive(y, "tensor descriptor", function);
}

}  // namespace

EXPORT int cudnnCreateConvolutionDescriptor(ConvolutionDescriptor** descriptor) {
    ENTER(cudnnCreateConvolutionDescriptor);
    *descriptor = new ConvolutionDescriptor();
    born(*descriptor, "convolution descriptor");
    return 0;
}

EXPORT int cudnnDestroyConvolutionDescriptor(ConvolutionDescriptor* descriptor) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cudnnDestroyConvolutionDescriptor", CUDNN_EXECUTION_FAILED);
    if (!died(descriptor, "convolution descriptor", "cudnnDestroyConvolutionDescriptor")) return CUDNN_BAD_PARAM;
    delete descriptor;
    return ordered;
}

EXPORT int cudnnSetConvolutionNdDescriptor(ConvolutionDescriptor* descriptor, int n, const int* pads,
                                           const int* strides, const int* dilations, int mode, int type) {
    ENTER(cudnnSetConvolutionNdDescriptor);
    if (!alive(descriptor, "convolution descriptor", "cudnnSetConvolutionNdDescriptor")) return CUDNN_BAD_PARAM;
    if (mode != CROSS_CORRELATION || type != FLOAT || n < 2 || n > 3) {
        return refuse(CUDNN_NOT_SUPPORTED, "convolution descriptor: mode %d, type %d or %d spatial dimensions", mode,
                      type, n);
    }
    for (int i = 0; i < n; i++) {
        if (pads[i] < 0 || strides[i] < 1 || dilations[i] < 1) {
            return refuse(CUDNN_BAD_PARAM, "convolution descriptor: pad %d, stride %d, dilation %d", pads[i],
                          strides[i], dilations[i]);
        }
    }
    descriptor->pads.assign(pads, pads + n);
    descriptor->strides.assign(strides, strides + n);
    descriptor->dilations.assign(dilations, dilations + n);
    return 0;
}

EXPORT int cudnnSetConvolutionGroupCount(ConvolutionDescriptor* descriptor, int groups) {
    ENTER(cudnnSetConvolutionGroupCount);
    if (!alive(descriptor, "convolution descriptor", "cudnnSetConvolutionGroupCount") || groups < 1)
        return CUDNN_BAD_PARAM;
    descriptor->groups = groups;
    return 0;
}

EXPORT int cudnnSetConvolutionMathType(ConvolutionDescriptor* descriptor, int math) {
    ENTER(cudnnSetConvolutionMathType);
    if (!alive(descriptor, "convolution descriptor", "cudnnSetConvolutionMathType")) return CUDNN_BAD_PARAM;
    descriptor->math = math;
    return 0;
}

EXPORT int cudnnGetConvolutionNdForwardOutputDim(const ConvolutionDescriptor* c, const TensorDescriptor* x,
                                                 const FilterDescriptor* w, int n, int* to) {
    ENTER(cudnnGetConvolutionNdForwardOutputDim);
    if (static_cast<size_t>(n) != x->dims.size() || w->dims.size() != x->dims.size() ||
        x->dims[1] != w->dims[1] * c->groups)
        return CUDNN_BAD_PARAM;
    to[0] = static_cast<int>(x->dims[0]);
    to[1] = static_cast<int>(w->dims[0]);
    for (size_t i = 2; i < x->dims.size(); i++) {
        to[i] =
            static_cast<int>(size_out(x->dims[i], w->dims[i], c->pads[i - 2], c->strides[i - 2], c->dilations[i - 2]));
    }
    return 0;
}

EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(CudnnHandle* handle, const TensorDescriptor* x,
                                                  const FilterDescriptor* w, const ConvolutionDescriptor* c,
                                                  const TensorDescriptor* y, int requested, int* returned,
                                                  Performance* to) {
    ENTER_CONTEXT(cudnnGetConvolutionForwardAlgorithm_v7);
    if (!alive_all("cudnnGetConvolutionForwardAlgorithm_v7", handle, x, w, c, y)) return CUDNN_BAD_PARAM;
    if (!fits(*x, *w, *c, *y)) return refuse(CUDNN_BAD_PARAM, "convolution: the descriptors do not fit each other");
    return algorithms(FORWARD, x, w, c, requested, returned, to);
}

EXPORT int cudnnGetConvolutionForwardWorkspaceSize(CudnnHandle* handle, const TensorDescriptor* x,
                                                   const FilterDescriptor* w, const ConvolutionDescriptor* c,
                                                   const TensorDescriptor* y, int algorithm, size_t* bytes) {
    ENTER_CONTEXT(cudnnGetConvolutionForwardWorkspaceSize);
    if (!alive_all("cudnnGetConvolutionForwardWorkspaceSize", handle, x, w, c, y)) return CUDNN_BAD_PARAM;
    if (!fits(*x, *w, *c, *y)) return refuse(CUDNN_BAD_PARAM, "convolution: the descriptors do not fit each other");
    if (asked(FORWARD, algorithm, *w, *c) == UNSUPPORTED) return unsupported(FORWARD, algorithm, *w, *c);
    *bytes = workspace(algorithm, *w, *x);
    return 0;
}

EXPORT int cudnnConvolutionForward(CudnnHandle* handle, const float* alpha, const TensorDescriptor* xd, const float* x,
                                   const FilterDescriptor* wd, const float* w, const ConvolutionDescriptor* cd,
                                   int algorithm, void* space, size_t space_bytes, const float* beta,
                                   const TensorDescriptor* yd, float* y) {
    ENTER_CONTEXT(cudnnConvolutionForward);
    const char* function = "cudnnConvolutionForward";
    if (!alive_all(function, handle, xd, wd, cd, yd)) return CUDNN_BAD_PARAM;
    Call call{*xd, *yd, *wd, *cd, *alpha, *beta, algorithm, space, space_bytes};
    if (int wrong = check(function, FORWARD, handle, call)) return wrong;
    enqueue(handle->stream, function, [=] {
        if (!require_device(x, call.x.bytes(), "cudnnConvolutionForward, x") ||
            !require_device(w, call.w.bytes(), "cudnnConvolutionForward, w") ||
            !require_device(y, call.y.bytes(), "cudnnConvolutionForward, y") || !spoil_workspace(function, call)) {
            return;
        }
        Convolution g = geometry(call.x, call.w, call.c, call.y);
        g.alpha = call.alpha;
        g.beta = call.beta;
        count_work(function, call, call.x, call.y);
        if (call.c.math == FMA_MATH) {
            convolve(g, x, w, y);
        } else {
            auto rounded_x = tf32(x, call.x.bytes() / sizeof(float));
            auto rounded_w = tf32(w, call.w.bytes() / sizeof(float));
            convolve(g, rounded_x.data(), rounded_w.data(), y);
        }
    });
    return 0;
}

EXPORT int cudnnGetConvolutionBackwardDataAlgorithm_v7(CudnnHandle* handle, const FilterDescriptor* w,
                                                       const TensorDescriptor* dy, const ConvolutionDescriptor* c,
                                                       const TensorDescriptor* dx, int requested, int* returned,
                                                       Performance* to) {
    ENTER_CONTEXT(cudnnGetConvolutionBackwardDataAlgorithm_v7);
    if (!alive_all("cudnnGetConvolutionBackwardDataAlgorithm_v7", handle, dx, w, c, dy)) return CUDNN_BAD_PARAM;
    if (!fits(*dx, *w, *c, *dy)) return refuse(CUDNN_BAD_PARAM, "convolution: the descriptors do not fit each other");
    return algorithms(BACKWARD, dx, w, c, requested, returned, to);
}

EXPORT int cudnnGetConvolutionBackwardDataWorkspaceSize(CudnnHandle* handle, const FilterDescriptor* w,
                                                        const TensorDescriptor* dy, const ConvolutionDescriptor* c,
                                                        const TensorDescriptor* dx, int algorithm, size_t* bytes) {
    ENTER_CONTEXT(cudnnGetConvolutionBackwardDataWorkspaceSize);
    if (!alive_all("cudnnGetConvolutionBackwardDataWorkspaceSize", handle, dx, w, c, dy)) return CUDNN_BAD_PARAM;
    if (!fits(*dx, *w, *c, *dy)) return refuse(CUDNN_BAD_PARAM, "convolution: the descriptors do not fit each other");
    if (asked(BACKWARD, algorithm, *w, *c) == UNSUPPORTED) return unsupported(BACKWARD, algorithm, *w, *c);
    *bytes = workspace(algorithm, *w, *dx);
    return 0;
}

EXPORT int cudnnConvolutionBackwardData(CudnnHandle* handle, const float* alpha, const FilterDescriptor* wd,
                                        const float* w, const TensorDescriptor* dyd, const float* dy,
                                        const ConvolutionDescriptor* cd, int algorithm, void* space, size_t space_bytes,
                                        const float* beta, const TensorDescriptor* dxd, float* dx) {
    ENTER_CONTEXT(cudnnConvolutionBackwardData);
    const char* function = "cudnnConvolutionBackwardData";
    if (!alive_all(function, handle, dxd, wd, cd, dyd)) return CUDNN_BAD_PARAM;
    Call call{*dxd, *dyd, *wd, *cd, *alpha, *beta, algorithm, space, space_bytes};
    if (int wrong = check(function, BACKWARD, handle, call)) return wrong;
    enqueue(handle->stream, function, [=] {
        if (!require_device(w, call.w.bytes(), "cudnnConvolutionBackwardData, w") ||
            !require_device(dy, call.y.bytes(), "cudnnConvolutionBackwardData, dy") ||
            !require_device(dx, call.x.bytes(), "cudnnConvolutionBackwardData, dx") ||
            !spoil_workspace(function, call)) {
            return;
        }
        Convolution g = geometry(call.x, call.w, call.c, call.y);
        g.alpha = call.alpha;
        g.beta = call.beta;
        count_work(function, call, call.y, call.x);
        if (call.c.math == FMA_MATH) {
            convolve_back(g, w, dy, dx);
        } else {
            auto rounded_w = tf32(w, call.w.bytes() / sizeof(float));
            auto rounded_y = tf32(dy, call.y.bytes() / sizeof(float));
            convolve_back(g, rounded_w.data(), rounded_y.data(), dx);
        }
    });
    return 0;
}
