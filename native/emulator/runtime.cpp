// libcudart.so.13: rebias asks it for its version only.
#include "emulator.h"

using namespace emulator;

EXPORT int cudaRuntimeGetVersion(int* version) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    if (int ordered = called("cudaRuntimeGetVersion", 999)) return ordered;
    *version = 13010;
    return 0;
}
