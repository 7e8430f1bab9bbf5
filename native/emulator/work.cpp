// Counts the work of kernels and library calls: bytes that pass through the card's memory, multiply-adds by kind. The
// figures by which work is judged where no card is.
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "emulator.h"

namespace emulator {
namespace {

struct Work {
    int64_t calls = 0, read = 0, written = 0;
    int64_t multiply_adds[KINDS] = {0, 0, 0};
};

std::map<std::string, Work>& all() {
    static auto* it = new std::map<std::string, Work>();
    return *it;
}

constexpr size_t SECTORS = (64 << 20) / SECTOR;

// One set of a direct-mapped cache: which sector it holds, since which launch, and whether that was read and written.
struct Held {
    uintptr_t sector = 0;
    int64_t launch = 0;
    bool used[2] = {false, false};
};

std::vector<Held>& cache() {
    static auto* it = new std::vector<Held>(SECTORS);
    return *it;
}

int64_t launch = 0;
int64_t sectors[2];

}  // namespace

uintptr_t recent_sectors[2][RECENT_SECTORS];

void moved(const char* what, int64_t read, int64_t written) {
    Work& work = all()[what];
    work.calls++;
    work.read += read;
    work.written += written;
}

void multiplied(const char* what, Kind kind, int64_t multiply_adds) {
    all()[what].multiply_adds[kind] += multiply_adds;
}

void launch_begins() {
    launch++;
    sectors[0] = sectors[1] = 0;
    memset(recent_sectors, 0, sizeof recent_sectors);
}

void accessed_sectors(uintptr_t address, size_t bytes, bool write) {
    uintptr_t first = address / SECTOR, end = (address + bytes - 1) / SECTOR;
    for (uintptr_t sector = first; sector <= end; sector++) {
        recent_sectors[write][sector % RECENT_SECTORS] = sector;
        Held& held = cache()[sector % SECTORS];
        if (held.sector != sector || held.launch != launch) held = {sector, launch, {false, false}};
        sectors[write] += held.used[write] ? 0 : 1;
        held.used[write] = true;
    }
}

void launch_ends(const char* kernel) {
    moved(kernel, sectors[0] * static_cast<int64_t>(SECTOR), sectors[1] * static_cast<int64_t>(SECTOR));
}

}  // namespace emulator

using namespace emulator;

// A line for each kernel and library call: its name, how often it ran, bytes read and written, multiply-adds of FP32,
// TF32 and int8; tabs between.
EXPORT int64_t emulator_work(char* to, int64_t size) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    std::string text;
    for (const auto& [name, work] : all()) {
        text += name;
        for (int64_t n : {work.calls, work.read, work.written, work.multiply_adds[FP32], work.multiply_adds[TF32],
                          work.multiply_adds[INT8]}) {
            text += "\t" + std::to_string(n);
        }
        text += "\n";
    }
    if (size > 0) snprintf(to, static_cast<size_t>(size), "%s", text.c_str());
    return static_cast<int64_t>(text.size());
}

EXPORT void emulator_forget_work() {
    std::lock_guard<std::recursive_mutex> guard(lock());
    all().clear();
}
