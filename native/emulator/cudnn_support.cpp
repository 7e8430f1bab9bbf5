#include "cudnn_support.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "emulator.h"

namespace emulator {
namespace {

thread_local std::string refusal;

enum Column { CALL, ALGORITHM, SPATIAL, TYPE, MATH, KERNEL, STRIDE, DILATION, GROUPS, ORDER, COLUMNS };

using Line = std::vector<std::string>;

std::string file() {
    if (const char* named = getenv("EMULATOR_CUDNN_SUPPORT")) return named;
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&support), &info);
    std::string library = info.dli_fname;
    return library.substr(0, library.rfind('/') + 1) + "cudnn_support.tsv";
}

[[noreturn]] void unusable(const std::string& path, const std::string& why) {
    fprintf(stderr, "emulator: the table of what cuDNN supports, %s, cannot be used: %s\n", path.c_str(), why.c_str());
    exit(1);
}

std::vector<Line> read_lines() {
    std::string path = file();
    std::ifstream in(path);
    if (!in) unusable(path, "it cannot be read");
    std::vector<Line> lines;
    std::string text;
    while (std::getline(in, text)) {
        if (text.empty() || text[0] == '#') continue;
        Line line;
        std::istringstream fields(text);
        std::string field;
        while (std::getline(fields, field, '\t')) line.push_back(field);
        if (line.size() < COLUMNS) unusable(path, "a line has fewer than ten columns: " + text);
        lines.push_back(line);
    }
    if (lines.empty()) unusable(path, "it is empty");
    return lines;
}

bool fits(const std::string& column, const std::string& value) {
    if (column == "*") return true;
    std::istringstream choices(column);
    std::string choice;
    while (std::getline(choices, choice, '|')) {
        if (choice == value) return true;
    }
    return false;
}

bool fits(const std::string& column, const std::vector<int64_t>& values) {
    return std::all_of(values.begin(), values.end(), [&](int64_t v) { return fits(column, std::to_string(v)); });
}

}  // namespace

int refuse(int status, const char* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    refusal = text;
    return status;
}

std::string last_refusal() { return std::move(refusal); }

Support support(const Asked& a) {
    static const auto* lines = new std::vector<Line>(read_lines());
    for (const Line& l : *lines) {
        if (fits(l[CALL], a.call) && fits(l[ALGORITHM], std::to_string(a.algorithm)) &&
            fits(l[SPATIAL], std::to_string(a.kernel.size())) && fits(l[TYPE], a.type) && fits(l[MATH], a.math) &&
            fits(l[KERNEL], a.kernel) && fits(l[STRIDE], a.stride) && fits(l[DILATION], a.dilation) &&
            fits(l[GROUPS], std::to_string(a.groups))) {
            return l[ORDER] == "fixed" ? FIXED_ORDER : ANY_ORDER;
        }
    }
    return UNSUPPORTED;
}

}  // namespace emulator
