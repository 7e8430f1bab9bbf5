// The arithmetic of cuDNN's convolutions: naive loops, for 2 and 3 spatial dimensions.
#pragma once
#include <cstdint>

namespace emulator __attribute__((visibility("default"))) {

    // Spatial arrays have three entries, depth first; two spatial dimensions have depth 1.
    struct Convolution {
        int64_t batch, groups, in_channels, out_channels;
        int64_t in[3], out[3], kernel[3], pad[3], stride[3], dilation[3];
        float alpha, beta;
    };

    // y = alpha * conv(x, w) + beta * y, a cross-correlation.
    void convolve(const Convolution& c, const float* x, const float* w, float* y);
    // dx = alpha * the transposed convolution of dy + beta * dx; x is [batch, in_channels, in], dy is [batch,
    // out_channels, out].
    void convolve_back(const Convolution& c, const float* w, const float* dy, float* dx);

}  // namespace )
