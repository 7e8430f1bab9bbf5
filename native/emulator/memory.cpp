// Device and pinned memory. Every allocation stands between pages that cannot be touched and is filled with 0xff:
// floats are NaN until somebody writes them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "emulator.h"

namespace emulator {
namespace {

constexpr size_t PAGE = 4096;
// Poison is mapped copy-on-write from a file of this size, so that large allocations cost only what is touched of them.
constexpr size_t POISON = 16 << 20;
// Less than this is quicker written than mapped.
constexpr size_t MAPPED = 1 << 20;

struct Allocation {
    size_t bytes;
    size_t mapped;
    int device;
};

std::map<uintptr_t, Allocation>& device() {
    static auto* it = new std::map<uintptr_t, Allocation>();
    return *it;
}

std::map<uintptr_t, Allocation>& freed() {
    static auto* it = new std::map<uintptr_t, Allocation>();
    return *it;
}

std::map<uintptr_t, Allocation>& pinned() {
    static auto* it = new std::map<uintptr_t, Allocation>();
    return *it;
}

size_t used[MAX_DEVICES];
// What a test has set; 0 for none.
size_t ordered_total = 0;

size_t total() {
    static size_t it = [] {
        const char* limit = getenv("EMULATOR_MEMORY");
        return limit ? strtoull(limit, nullptr, 10) : size_t{4} << 30;
    }();
    return ordered_total != 0 ? ordered_total : it;
}

int poison_file() {
    static int it = [] {
        int fd = memfd_create("emulator-poison", MFD_CLOEXEC);
        std::vector<char> bytes(POISON, '\xff');
        if (fd < 0 || write(fd, bytes.data(), POISON) != static_cast<ssize_t>(POISON)) abort();
        return fd;
    }();
    return it;
}

// Whole pages of poison, in place of what is there.
bool poison(uintptr_t start, size_t bytes) {
    for (size_t at = 0; at < bytes; at += POISON) {
        size_t piece = std::min(POISON, bytes - at);
        void* got = mmap(reinterpret_cast<void*>(start + at), piece, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, poison_file(), 0);
        if (got == MAP_FAILED) return false;
    }
    return true;
}

uintptr_t map_poisoned(size_t bytes, size_t* mapped) {
    size_t body = (bytes + PAGE - 1) / PAGE * PAGE;
    *mapped = body + 2 * PAGE;
    void* base = mmap(nullptr, *mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return 0;
    auto start = reinterpret_cast<uintptr_t>(base) + PAGE;
    return poison(start, body) ? start : 0;
}

const std::pair<const uintptr_t, Allocation>* find(const std::map<uintptr_t, Allocation>& in, uintptr_t address) {
    auto next = in.upper_bound(address);
    if (next == in.begin()) return nullptr;
    const auto& candidate = *std::prev(next);
    // The page behind it belongs to it too: whoever gets there has gone past its end.
    return address < candidate.first + candidate.second.mapped - PAGE ? &candidate : nullptr;
}

}  // namespace

uintptr_t allocate(size_t bytes) {
    int own = current_device();
    if (bytes == 0 || used[own] + bytes > total()) return 0;
    size_t mapped;
    uintptr_t at = map_poisoned(bytes, &mapped);
    if (at == 0) return 0;
    // Addresses come round again; what was freed there is forgotten then.
    for (auto it = freed().begin(); it != freed().end();) {
        bool overlaps = it->first < at + bytes && at < it->first + it->second.bytes;
        it = overlaps ? freed().erase(it) : std::next(it);
    }
    device()[at] = {bytes, mapped, own};
    used[own] += bytes;
    count("allocations");
    born_on_device(reinterpret_cast<void*>(at), "device allocation");
    return at;
}

bool release(uintptr_t address) {
    auto found = device().find(address);
    if (found == device().end()) {
        bool twice = freed().count(address) > 0;
        violation(INVALID_VALUE, "cuMemFree: %#zx %s", address, twice ? "was freed before" : "was never allocated");
        return false;
    }
    if (!died(reinterpret_cast<void*>(address), "device allocation", "cuMemFree")) return false;
    munmap(reinterpret_cast<void*>(address - PAGE), found->second.mapped);
    used[found->second.device] -= found->second.bytes;
    freed()[address] = found->second;
    device().erase(found);
    return true;
}

void fill(uintptr_t address, unsigned char value, size_t bytes) {
    uintptr_t first = (address + PAGE - 1) / PAGE * PAGE;
    uintptr_t last = (address + bytes) / PAGE * PAGE;
    bool pages = value == 0xff && bytes >= MAPPED && poison(first, last - first);
    if (!pages) {
        memset(reinterpret_cast<void*>(address), value, bytes);
        return;
    }
    memset(reinterpret_cast<void*>(address), value, first - address);
    memset(reinterpret_cast<void*>(last), value, address + bytes - last);
}

void memory_info(size_t* free_bytes, size_t* total_bytes) {
    int own = current_device();
    *free_bytes = total() - (own == NO_DEVICE ? 0 : used[own]);
    *total_bytes = total();
}

bool in_device_memory(uintptr_t address, size_t bytes, std::string* why) {
    char text[200];
    if (const auto* a = find(device(), address)) {
        bool inside = address + bytes <= a->first + a->second.bytes;
        if (inside && a->second.device == acting_device()) return true;
        if (inside) {
            snprintf(text, sizeof text, "in the memory of device %d, not of device %d", a->second.device,
                     acting_device());
            *why = text;
            return false;
        }
        snprintf(text, sizeof text, "which ends %zu bytes past the end of an allocation of %zu bytes",
                 address + bytes - a->first - a->second.bytes, a->second.bytes);
    } else if (const auto* f = find(freed(), address)) {
        snprintf(text, sizeof text, "in an allocation of %zu bytes that was freed", f->second.bytes);
    } else if (const auto* p = find(pinned(), address)) {
        snprintf(text, sizeof text, "in pinned host memory of %zu bytes, not in device memory", p->second.bytes);
    } else {
        snprintf(text, sizeof text, "which is not in device memory");
    }
    *why = text;
    return false;
}

bool device_range(uintptr_t address, uintptr_t* begin, uintptr_t* end) {
    const auto* a = find(device(), address);
    if (!a || address >= a->first + a->second.bytes) return false;
    *begin = a->first;
    *end = a->first + a->second.bytes;
    return true;
}

bool require_device(const void* address, size_t bytes, const char* what) {
    std::string why;
    if (bytes == 0 || in_device_memory(reinterpret_cast<uintptr_t>(address), bytes, &why)) return true;
    violation(ILLEGAL_ADDRESS, "%s: %zu bytes at %p, %s", what, bytes, address, why.c_str());
    return false;
}

void* allocate_pinned(size_t bytes) {
    size_t mapped;
    uintptr_t at = map_poisoned(bytes, &mapped);
    pinned()[at] = {bytes, mapped, NO_DEVICE};
    born(reinterpret_cast<void*>(at), "pinned allocation");
    return reinterpret_cast<void*>(at);
}

bool release_pinned(void* address) {
    auto found = pinned().find(reinterpret_cast<uintptr_t>(address));
    if (found == pinned().end()) {
        violation(INVALID_VALUE, "cuMemFreeHost: %p is no pinned memory", address);
        return false;
    }
    munmap(static_cast<char*>(address) - PAGE, found->second.mapped);
    pinned().erase(found);
    return died(address, "pinned allocation", "cuMemFreeHost");
}

// Lets the card have that much memory from now on; 0 for as much as at first.
EXPORT void emulator_memory(int64_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    ordered_total = static_cast<size_t>(bytes);
}

bool in_pinned_memory(const void* address, size_t bytes) {
    const auto* a = find(pinned(), reinterpret_cast<uintptr_t>(address));
    return a && reinterpret_cast<uintptr_t>(address) + bytes <= a->first + a->second.bytes;
}

}  // namespace emulator
