#include "cudnn_convolution.h"

#include <algorithm>
#include <vector>

#include "emulator.h"

namespace emulator {
namespace {

int64_t volume(const int64_t* d) { return d[0] * d[1] * d[2]; }

// The outputs [begin, end) along one dimension whose tap lies inside the input.
void inside(const Convolution& c, int d, int64_t tap, int64_t* begin, int64_t* end) {
    int64_t offset = tap * c.dilation[d] - c.pad[d];
    int64_t stride = c.stride[d];
    *begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    int64_t last = c.in[d] - 1 - offset;
    *end = last < 0 ? 0 : std::min(c.out[d], last / stride + 1);
}

// For one pair of input and output channels, calls row(weight, input row, output row, begin, end) for every tap and
// row, from tap `first` on and round.
template <typename Row>
void taps(const Convolution& c, const float* w, int64_t first, const Row& row) {
    int64_t n = volume(c.kernel);
    for (int64_t i = 0; i < n; i++) {
        int64_t tap = (first + i) % n;
        int64_t e = tap % c.kernel[2], b = tap / c.kernel[2] % c.kernel[1], a = tap / c.kernel[2] / c.kernel[1];
        int64_t d0, d1, h0, h1, w0, w1;
        inside(c, 0, a, &d0, &d1);
        inside(c, 1, b, &h0, &h1);
        inside(c, 2, e, &w0, &w1);
        for (int64_t d = d0; d < d1; d++) {
            int64_t in_d = d * c.stride[0] + a * c.dilation[0] - c.pad[0];
            for (int64_t h = h0; h < h1; h++) {
                int64_t in_h = h * c.stride[1] + b * c.dilation[1] - c.pad[1];
                int64_t in_row = (in_d * c.in[1] + in_h) * c.in[2] + e * c.dilation[2] - c.pad[2];
                row(w[tap], in_row, (d * c.out[1] + h) * c.out[2], w0, w1);
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
    int64_t first_tap = first_of_sum(c.batch, kernel);
    parallel(c.batch * c.out_channels, [&](int64_t i) {
        int64_t n = i / c.out_channels, m = i % c.out_channels;
        std::vector<float> sums(static_cast<size_t>(out), 0.0f);
        for (int64_t step = 0; step < group_in; step++) {
            int64_t k = (first_of_sum(c.batch, group_in) + step) % group_in;
            const float* from = x + (n * c.in_channels + m / group_out * group_in + k) * in;
            const float* weights = w + (m * group_in + k) * kernel;
            if (kernel == 1 && in == out && c.stride[1] == 1 && c.stride[2] == 1) {
                float weight = weights[0];
                float* to = sums.data();
                for (int64_t p = 0; p < out; p++) to[p] += weight * from[p];
                continue;
            }
            taps(c, weights, first_tap, [&](float weight, int64_t in_row, int64_t out_row, int64_t begin, int64_t end) {
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
    int64_t first_tap = first_of_sum(c.batch, kernel);
    parallel(c.batch * c.in_channels, [&](int64_t i) {
        int64_t n = i / c.in_channels, k = i % c.in_channels;
        std::vector<float> sums(static_cast<size_t>(in), 0.0f);
        for (int64_t step = 0; step < group_out; step++) {
            int64_t m = (first_of_sum(c.batch, group_out) + step) % group_out;
            int64_t channel = k / group_in * group_out + m;
            const float* from = dy + (n * c.out_channels + channel) * out;
            taps(c, w + (channel * group_in + k % group_in) * kernel, first_tap,
                 [&](float weight, int64_t in_row, int64_t out_row, int64_t begin, int64_t end) {
                     for (int64_t p = begin; p < end; p++)
                         sums[static_cast<size_t>(in_row + p * c.stride[2])] += weight * from[out_row + p];
                 });
        }
        blend(c, sums, dx + i * in);
    });
}

}  // namespace emulator
