// What cuDNN refuses, and why it says so.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace emulator __attribute__((visibility("default"))) {

    // What cudnnGetLastErrorString gives next, on this thread; gives the status back.
    int refuse(int status, const char* format, ...) __attribute__((format(printf, 2, 3)));
    // The reason of the last refusal on this thread, which is then forgotten; empty if there was none.
    std::string last_refusal();

    // A convolution, as cudnn_support.tsv has its columns.
    struct Asked {
        const char* call;
        int algorithm;
        const char* type;
        const char* math;
        std::vector<int64_t> kernel, stride, dilation;
        int64_t groups;
    };

    enum Support { UNSUPPORTED, FIXED_ORDER, ANY_ORDER };

    Support support(const Asked& asked);

}  // namespace )
