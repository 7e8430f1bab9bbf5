#include "cudnn_convolution.h"

#include <algorithm>
#include <vector>

#include "emulator.h"

namespace emulator {
namespace {

int64_t volume(const int64_t* d) {
    return d[0] * d[1] * d[2];
}

// The outputs [begin, end) along one dimension whose tap lies inside the input.
void inside(const Convolution& c, int d, int64_t tap, int64_t* begin, int64_t* end) {
    int64_t offset = tap * c.dilation[d] - c.pad[d];
    int64_t stride = c.stride[d];
    *begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    int64_t last = c.in[d] - 1 - offset;
    *end = last < 0 ? 0 : std::min(c.out[d], last / stride + 1);
}

// For one pair of input and output channels, calls row(weight, input row, output row, begin, end) for every tap and row.
template <typename Row>
void taps(const Convolution& c, const float* w, const Row& row) {
    for (int64_t a = 0; a < c.kernel[0]; a++) {
        int64_t d0, d1;
        inside(c, 0, a, &d0, &d1);
        for (int64_t b = 0; b < c.kernel[1]; b++) {
            int64_t h0, h1;
            inside(c, 1, b, &h0, &h1);
            for (int64_t e = 0; e < c.kernel[2]; e++) {
                int64_t w0, w1;
                inside(c, 2, e, &w0, &w1);
                float weight = w[(a * c.kernel[1] + b) * c.kernel[2] + e];
                for (int64_t d = d0; d < d1; d++) {
                    int64_t in_d = d * c.stride[0] + a * c.dilation[0] - c.pad[0];
                    for (int64_t h = h0; h < h1; h++) {
                        int64_t in_h = h * c.stride[1] + b * c.dilation[1] - c.pad[1];
                        int64_t in_row = (in_d * c.in[1] + in_h) * c.in[2] + e * c.dilation[2] - c.pad[2];
                        row(weight, in_row, (d * c.out[1] + h) * c.out[2], w0, w1);
                    }
                }
            }
        }
    }
}

void blend(const Convolution& c, const std::vector<float>& sums, float* to) {
    for (size_t i = 0; i < sums.size(); i++) to[i] = c.alpha * sums[i] + (c.beta == 0 ? 0 : c.beta * to[i]);
}

}  // namespace

void convolve(const Convolution& c, const float* x, const float* w, float* y) {
    int64_t in = volume(c.in), out = volume(c.out), kernel = volume(c.kernel);
    int64_t group_in = c.in_channels / c.groups, group_out = c.out_channels / c.groups;
    parallel(c.batch * c.out_channels, [&](int64_t i) {
        int64_t n = i / c.out_channels, m = i % c.out_channels;
        std::vector<float> sums(static_cast<size_t>(out), 0.0f);
        for (int64_t k = 0; k < group_in; k++) {
            const float* from = x + (n * c.in_channels + m / group_out * group_in + k) * in;
            const float* weights = w + (m * group_in + k) * kernel;
            if (kernel == 1 && in == out && c.stride[1] == 1 && c.stride[2] == 1) {
                float weight = weights[0];
                float* to = sums.data();
                for (int64_t p = 0; p < out; p++) to[p] += weight * from[p];
                continue;
            }
            taps(c, weights, [&](float weight, int64_t in_row, int64_t out_row, int64_t begin, int64_t end) {
                const float* source = from + in_row;
                float* to = sums.data() + out_row;
                if (c.stride[2] == 1) {
                    for (int64_t p = begin; p < end; p++) to[p] += weight * source[p];
                } else {
                    for (int64_t p = begin; p < end; p++) to[p] += weight * source[p * c.stride[2]];
                }
            });
        }
        blend(c, sums, y + i * out);
    });
}

void convolve_back(const Convolution& c, const float* w, const float* dy, float* dx) {
    int64_t in = volume(c.in), out = volume(c.out), kernel = volume(c.kernel);
    int64_t group_in = c.in_channels / c.groups, group_out = c.out_channels / c.groups;
    parallel(c.batch * c.in_channels, [&](int64_t i) {
        int64_t n = i / c.in_channels, k = i % c.in_channels;
        std::vector<float> sums(static_cast<size_t>(in), 0.0f);
        for (int64_t m = 0; m < group_out; m++) {
            int64_t channel = k / group_in * group_out + m;
            const float* from = dy + (n * c.out_channels + channel) * out;
            taps(c, w + (channel * group_in + k % group_in) * kernel,
                 [&](float weight, int64_t in_row, int64_t out_row, int64_t begin, int64_t end) {
                     for (int64_t p = begin; p < end; p++) sums[static_cast<size_t>(in_row + p * c.stride[2])] += weight * from[out_row + p];
                 });
        }
        blend(c, sums, dx + i * in);
    });
}

}  // namespace emulator
