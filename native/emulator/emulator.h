// What the stand-in libraries share: faults and counters, device memory, streams, launches, live objects. See
// README.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace emulator __attribute__((visibility("default"))) {

    // One lock for everything: the emulated device has no concurrency of its own to offer.
    std::recursive_mutex& lock();

    // ---- faults and counters (report.cpp)
    // Counts a call and tells the status that it must fail with, 0 for none. `otherwise` is what a fault without a code
    // means.
    int called(const char* function, int otherwise);
    void count(const char* counter, int64_t by = 1);

    // A breach of the rules: recorded with its text; from then on every call that can report it gives `status`.
    void violation(int status, const char* format, ...) __attribute__((format(printf, 2, 3)));
    int sticky();

    // ---- work (work.cpp): what passes through the card's memory, and multiply-adds by kind, per kernel or library
    // call
    enum Kind { FP32, TF32, INT8, KINDS };
    void moved(const char* what, int64_t read, int64_t written);
    void multiplied(const char* what, Kind kind, int64_t multiply_adds);
    // Of a launched kernel: its accesses in whole sectors of 32 bytes, each once per launch for as long as a
    // second-level cache of 64 MiB would hold it.
    void launch_begins();
    void accessed_sectors(uintptr_t address, size_t bytes, bool write);
    // The sectors that were accessed last, by their low bits, so that most accesses need not look into that cache.
    constexpr uintptr_t SECTOR = 32;
    constexpr size_t RECENT_SECTORS = 256;
    extern uintptr_t recent_sectors[2][RECENT_SECTORS];
    inline void accessed(uintptr_t address, size_t bytes, bool write) {
        uintptr_t sector = address / SECTOR;
        bool known = recent_sectors[write][sector % RECENT_SECTORS] == sector;
        if (!known || (address + bytes - 1) / SECTOR != sector) accessed_sectors(address, bytes, write);
    }
    void launch_ends(const char* kernel);

    // ---- the current context (report.cpp): each device has one, each thread has one of them current, and none to begin
    // with
    constexpr int MAX_DEVICES = 64;
    constexpr int NO_DEVICE = -1;
    int device_count();
    void retain_context(int device);
    void release_context(int device);
    bool context_retained(int device);
    void make_context_current(int device);  // NO_DEVICE for none
    bool context_current();
    int current_device();
    // The device whose work is being run, or else that whose context is current.
    int acting_device();
    // While it lives, the work of that device is being run.
    class Acting {
        int before;

       public:
        explicit Acting(int device);
        ~Acting();
    };
    // The same for libraries, which on a real card would silently take the first card's context; false, with a
    // violation, if there is none.
    bool require_context(const char* function);

    // ---- live objects (report.cpp): everything that was created and must be destroyed
    void born(const void* object, const char* kind);
    // The same of what belongs to the current context, and is of no use to another device.
    void born_on_device(const void* object, const char* kind);
    // False, with a violation, if there is no such object of that kind, or it belongs to another device.
    bool alive(const void* object, const char* kind, const char* function);
    bool died(const void* object, const char* kind, const char* function);

    // ---- memory (memory.cpp)
    constexpr int OUT_OF_MEMORY = 2;
    constexpr int INVALID_VALUE = 1;
    constexpr int INVALID_CONTEXT = 201;
    constexpr int INVALID_HANDLE = 400;
    constexpr int NOT_READY = 600;
    constexpr int ILLEGAL_ADDRESS = 700;
    constexpr int MISALIGNED_ADDRESS = 716;
    constexpr int LAUNCH_FAILED = 719;

    uintptr_t allocate(size_t bytes);  // 0 if there is not that much
    bool release(uintptr_t address);
    // Like memset, on device memory; poison (0xff) over whole pages costs only what is touched of them.
    void fill(uintptr_t address, unsigned char value, size_t bytes);
    void memory_info(size_t * free_bytes, size_t * total_bytes);
    // Whether [address, address + bytes) lies in one live allocation; if not, `why` says what is wrong.
    bool in_device_memory(uintptr_t address, size_t bytes, std::string * why);
    // The bounds of the live allocation that holds the address, if there is one.
    bool device_range(uintptr_t address, uintptr_t * begin, uintptr_t * end);
    // The same as a violation of `what`.
    bool require_device(const void* address, size_t bytes, const char* what);
    void* allocate_pinned(size_t bytes);
    bool release_pinned(void* address);
    bool in_pinned_memory(const void* address, size_t bytes);

    // ---- streams (streams.cpp)
    struct Stream;
    struct Event;
    Stream* create_stream();
    void destroy_stream(Stream * stream);
    Event* create_event();
    void destroy_event(Event * event);
    // Work on a stream waits until something synchronises with it.
    void enqueue(Stream * stream, const char* label, std::function<void()> work);
    void record(Event * event, Stream * stream);
    void wait(Stream * stream, Event * event);
    void synchronise(Stream * stream);
    void synchronise(Event * event);
    bool complete(const Event* event);
    void finish_everything();

    // ---- launches (blocks.cpp)
    struct Kernel {
        const char* name;
        int parameters;
        void* (*pack)(void** arguments);
        void (*run)(void* packed);
        void (*drop)(void* packed);
        char* shared_begin;
        char* shared_end;
    };
    struct Grid {
        unsigned grid[3];
        unsigned block[3];
    };
    // Runs the whole grid; false after a violation.
    bool run_grid(const Kernel& kernel, const Grid& grid, void* packed);

    // The architecture of the emulated card, as NVRTC names it.
    constexpr const char* ARCHITECTURE = "sm_90";

    // Where a library's sum of n products begins, in a batch of that size: real libraries choose kernels, and so the
    // order of a sum, by shapes. Sums go round from there.
    int64_t first_of_sum(int64_t batch, int64_t n);
    // What TF32 keeps of a float: 10 bits of mantissa. NaN and infinity stay what they are.
    float to_tf32(float value);

    // Splits [0, n) over the cores.
    void parallel(int64_t n, const std::function<void(int64_t)>& body);

}  // namespace )
