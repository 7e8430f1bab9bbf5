// Faults, counters, violations, live objects, and the functions by which tests ask for them.
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>
#include <unordered_map>

#include "emulator.h"

namespace emulator {
namespace {

constexpr int64_t NONE = -1;
constexpr int64_t EVERY = 0;

struct Live {
    const char* kind;
    int device;
};

struct State {
    std::recursive_mutex mutex;
    std::map<std::string, int64_t> counters;
    std::unordered_map<const void*, Live> live;
    std::string first_violation;
    int sticky = 0;
    int64_t calls = 0;
    int64_t failing_call = -1;
    std::string failing_function;
    int64_t failing_nth = NONE;
    int failing_code = 0;
    std::string failed;

    State() {
        // EMULATOR_FAIL=function:n[:code], 0 for every call
        if (const char* fail = getenv("EMULATOR_FAIL")) {
            char name[128] = "";
            long nth = 0;
            int code = 0;
            if (sscanf(fail, "%127[^:]:%ld:%d", name, &nth, &code) >= 2) {
                failing_function = name;
                failing_nth = nth > 0 ? nth : EVERY;
                failing_code = code;
            }
        }
    }

    ~State() {
        for (const auto& [object, it] : live) {
            fprintf(stderr, "emulator: %s %p was never destroyed\n", it.kind, object);
        }
    }
};

State& state() {
    static State it;
    return it;
}

}  // namespace

std::recursive_mutex& lock() { return state().mutex; }

int called(const char* function, int otherwise) {
    State& s = state();
    s.calls++;
    int64_t nth = ++s.counters[std::string("call:") + function];
    bool fails = s.calls == s.failing_call
            || (s.failing_function == function && (nth == s.failing_nth || s.failing_nth == EVERY));
    if (fails) {
        s.failed = function;
        return s.failing_code != 0 ? s.failing_code : otherwise;
    }
    return 0;
}

void count(const char* counter, int64_t by) { state().counters[counter] += by; }

void violation(int status, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    State& s = state();
    if (s.first_violation.empty()) {
        s.first_violation = text;
        s.sticky = status;
    }
    fprintf(stderr, "emulator: %s\n", text);
}

int sticky() { return state().sticky; }

namespace {
int retained[MAX_DEVICES];
// Counts the lives of the primary contexts: what a thread made current in an earlier one is not current in this.
int life[MAX_DEVICES];
// How many devices a test has set; 0 for none.
int ordered_devices = 0;
thread_local int of_thread = NO_DEVICE;
thread_local int life_of_thread;
int acting = NO_DEVICE;
}  // namespace

int device_count() {
    const char* number = getenv("EMULATOR_DEVICES");
    return std::min(MAX_DEVICES, ordered_devices > 0 ? ordered_devices : number ? atoi(number) : 1);
}

void retain_context(int device) { retained[device]++; }

void release_context(int device) {
    if (--retained[device] == 0) {
        finish_everything();
        life[device]++;
    }
}

bool context_retained(int device) { return retained[device] > 0; }

void make_context_current(int device) {
    of_thread = device;
    if (device != NO_DEVICE) life_of_thread = life[device];
}

int current_device() {
    bool current = of_thread != NO_DEVICE && retained[of_thread] > 0 && life_of_thread == life[of_thread];
    return current ? of_thread : NO_DEVICE;
}

bool context_current() { return current_device() != NO_DEVICE; }

int acting_device() { return acting != NO_DEVICE ? acting : current_device(); }

Acting::Acting(int device) : before(acting) { acting = device; }

Acting::~Acting() { acting = before; }

bool require_context(const char* function) {
    if (!context_current()) violation(INVALID_CONTEXT, "%s: no context is current on this thread", function);
    return context_current();
}

void born(const void* object, const char* kind) { state().live[object] = {kind, NO_DEVICE}; }

void born_on_device(const void* object, const char* kind) { state().live[object] = {kind, current_device()}; }

bool alive(const void* object, const char* kind, const char* function) {
    auto found = state().live.find(object);
    if (found == state().live.end() || strcmp(found->second.kind, kind) != 0) {
        violation(INVALID_HANDLE, "%s: %p is no live %s", function, object, kind);
        return false;
    }
    int device = found->second.device;
    if (device != NO_DEVICE && device != acting_device()) {
        violation(INVALID_HANDLE, "%s: %s %p belongs to device %d, and device %d is current", function, kind, object,
                  device, acting_device());
        return false;
    }
    return true;
}

bool died(const void* object, const char* kind, const char* function) {
    if (!alive(object, kind, function)) {
        return false;
    }
    state().live.erase(object);
    return true;
}

int64_t first_of_sum(int64_t batch, int64_t n) {
    uint64_t mixed = static_cast<uint64_t>(batch) * 0x9e3779b97f4a7c15u;
    return n < 2 ? 0 : static_cast<int64_t>((mixed >> 33) % static_cast<uint64_t>(n));
}

float to_tf32(float value) {
    if (!std::isfinite(value)) return value;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    // To the nearest, halves away from zero. Beyond the largest it becomes infinity.
    bits = (bits + 0x1000) & ~0x1fffu;
    memcpy(&value, &bits, 4);
    return value;
}

void parallel(int64_t n, const std::function<void(int64_t)>& body) {
    unsigned cores = std::max(1u, std::min(4u, std::thread::hardware_concurrency()));
    if (n < 2 || cores < 2) {
        for (int64_t i = 0; i < n; i++) body(i);
        return;
    }
    std::vector<std::thread> threads;
    for (unsigned t = 1; t < cores; t++) {
        threads.emplace_back([=, &body] {
            for (int64_t i = n * t / cores; i < n * (t + 1) / cores; i++) body(i);
        });
    }
    for (int64_t i = 0; i < n / cores; i++) body(i);
    for (auto& thread : threads) thread.join();
}

}  // namespace emulator

using namespace emulator;

static int64_t copy(const std::string& text, char* to, int64_t size) {
    if (size > 0) {
        snprintf(to, static_cast<size_t>(size), "%s", text.c_str());
    }
    return static_cast<int64_t>(text.size());
}

// A counter by name: launches, synchronisations, allocations, hostToDeviceBytes, deviceToHostBytes, or call:<function>.
EXPORT int64_t emulator_counter(const char* name) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    auto found = state().counters.find(name);
    return found == state().counters.end() ? 0 : found->second;
}

// How many calls of any function there have been.
EXPORT int64_t emulator_calls() {
    std::lock_guard<std::recursive_mutex> guard(lock());
    return state().calls;
}

// Lets the nth call from now on, of whichever function, fail; 0 calls it off. A code of 0 is the library's own plain
// failure.
EXPORT void emulator_fail(int64_t nth, int code) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    state().failing_call = nth > 0 ? state().calls + nth : -1;
    state().failing_function.clear();
    state().failing_code = code;
    state().failed.clear();
}

// Lets the nth call from now on of that function fail; 0 lets every call of it fail, until that is called off.
EXPORT void emulator_fail_function(const char* function, int64_t nth, int code) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    state().failing_function = function;
    state().failing_nth = nth > 0 ? state().counters[std::string("call:") + function] + nth : EVERY;
    state().failing_code = code;
    state().failed.clear();
}

// The function whose call failed as ordered, empty if none has.
EXPORT int64_t emulator_failed(char* to, int64_t size) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    return copy(state().failed, to, size);
}

// The first breach of the rules, empty if there was none.
EXPORT int64_t emulator_violation(char* to, int64_t size) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    return copy(state().first_violation, to, size);
}

// What is alive: one kind per line with its number.
EXPORT int64_t emulator_live(char* to, int64_t size) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    std::map<std::string, int> kinds;
    for (const auto& [object, it] : state().live) kinds[it.kind]++;
    std::string text;
    for (const auto& [kind, n] : kinds) text += kind + ": " + std::to_string(n) + "\n";
    return copy(text, to, size);
}

// Lets there be so many devices from now on; 0 for as many as at first.
EXPORT void emulator_devices(int number) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    ordered_devices = number;
}

// Forgets counters and violations, as a new process would.
EXPORT void emulator_reset() {
    std::lock_guard<std::recursive_mutex> guard(lock());
    state().counters.clear();
    state().first_violation.clear();
    state().sticky = 0;
}
