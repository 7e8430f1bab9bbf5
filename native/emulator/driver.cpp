// libcuda.so.1: the CUDA driver API, as far as rebias calls it. Names and numbers are those of CUDA 13's cuda.h.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include "emulator.h"

using namespace emulator;

namespace {

constexpr int NOT_INITIALIZED = 3;
constexpr int INVALID_DEVICE = 101;
constexpr int INVALID_IMAGE = 200;
constexpr int NO_BINARY_FOR_GPU = 209;
constexpr int NOT_FOUND = 500;

bool initialised = false;
int primary_contexts[MAX_DEVICES];

struct Module {
    void* library;
    std::map<std::string, std::unique_ptr<Kernel>> kernels;
};

std::map<const Kernel*, Module*>& kernels() {
    static auto* it = new std::map<const Kernel*, Module*>();
    return *it;
}

struct Name {
    int code;
    const char* name;
    const char* text;
};
const Name NAMES[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const Name* find_name(int code) {
    for (const Name& n : NAMES) {
        if (n.code == code) return &n;
    }
    return nullptr;
}

}  // namespace

// Every function starts with this: counts the call, fails it if so ordered, and lets an earlier violation show as the
// real driver does.
#define ENTER(function)                                       \
    std::lock_guard<std::recursive_mutex> guard(lock());      \
    if (int ordered = called(#function, 999)) return ordered; \
    if (int before = sticky()) return before

// The same for functions that work on a context's objects: the thread that calls must have it current.
#define ENTER_CONTEXT(function) \
    ENTER(function);            \
    if (!context_current()) return INVALID_CONTEXT

// Functions that give something back do so even when they fail: what an error hides in a destructor must not look like
// a leak.
#define ENTER_RELEASE(function)                          \
    std::lock_guard<std::recursive_mutex> guard(lock()); \
    int ordered = called(#function, 999);                \
    if (!context_current()) return INVALID_CONTEXT

EXPORT int cuInit(unsigned) {
    ENTER(cuInit);
    initialised = true;
    return 0;
}

EXPORT int cuDriverGetVersion(int* version) {
    ENTER(cuDriverGetVersion);
    *version = 13000;
    return 0;
}

EXPORT int cuGetErrorName(int code, const char** name) {
    const Name* n = find_name(code);
    *name = n ? n->name : nullptr;
    return n ? 0 : INVALID_VALUE;
}

EXPORT int cuGetErrorString(int code, const char** text) {
    const Name* n = find_name(code);
    *text = n ? n->text : nullptr;
    return n ? 0 : INVALID_VALUE;
}

EXPORT int cuDeviceGetCount(int* n) {
    ENTER(cuDeviceGetCount);
    if (!initialised) return NOT_INITIALIZED;
    *n = device_count();
    return 0;
}

EXPORT int cuDeviceGet(int* device, int ordinal) {
    ENTER(cuDeviceGet);
    if (ordinal < 0 || ordinal >= device_count()) return INVALID_DEVICE;
    *device = ordinal;
    return 0;
}

EXPORT int cuDeviceGetName(char* name, int size, int) {
    ENTER(cuDeviceGetName);
    snprintf(name, static_cast<size_t>(size), "rebias emulator");
    return 0;
}

EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int) {
    ENTER(cuDeviceTotalMem_v2);
    size_t unused;
    memory_info(&unused, bytes);
    return 0;
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
    ENTER(cuDeviceGetAttribute);
    switch (attribute) {
        case 16:
            *value = 8;
            return 0;  // multiprocessors
        case 75:
            *value = ARCHITECTURE[3] - '0';
            return 0;  // compute capability, major
        case 76:
            *value = ARCHITECTURE[4] - '0';
            return 0;  // minor
        default:
            return INVALID_VALUE;
    }
}

EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
    ENTER(cuDevicePrimaryCtxRetain);
    if (!initialised) return NOT_INITIALIZED;
    if (device < 0 || device >= device_count()) return INVALID_DEVICE;
    retain_context(device);
    *context = &primary_contexts[device];
    return 0;
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("cuDevicePrimaryCtxRelease_v2", 999);
    if (device < 0 || device >= MAX_DEVICES) return INVALID_DEVICE;
    if (!context_retained(device)) return INVALID_CONTEXT;
    release_context(device);
    return ordered;
}

EXPORT int cuCtxSetCurrent(void* context) {
    ENTER(cuCtxSetCurrent);
    int device = NO_DEVICE;
    for (int d = 0; d < MAX_DEVICES; d++) {
        if (context == &primary_contexts[d] && context_retained(d)) device = d;
    }
    make_context_current(device);
    return context && device == NO_DEVICE ? INVALID_CONTEXT : 0;
}

EXPORT int cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
    ENTER_CONTEXT(cuMemGetInfo_v2);
    memory_info(free_bytes, total_bytes);
    return 0;
}

EXPORT int cuMemAlloc_v2(uintptr_t* address, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    if (int ordered = called("cuMemAlloc_v2", OUT_OF_MEMORY)) return ordered;
    if (int before = sticky()) return before;
    if (!context_current()) return INVALID_CONTEXT;
    if (bytes == 0) return INVALID_VALUE;
    *address = allocate(bytes);
    return *address ? 0 : OUT_OF_MEMORY;
}

EXPORT int cuMemFree_v2(uintptr_t address) {
    ENTER_RELEASE(cuMemFree_v2);
    bool done = address == 0 || release(address);
    return ordered ? ordered : sticky() ? sticky() : done ? 0 : INVALID_VALUE;
}

EXPORT int cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    if (int ordered = called("cuMemHostAlloc", OUT_OF_MEMORY)) return ordered;
    if (int before = sticky()) return before;
    if (!context_current()) return INVALID_CONTEXT;
    *address = allocate_pinned(bytes);
    return 0;
}

EXPORT int cuMemFreeHost(void* address) {
    ENTER_RELEASE(cuMemFreeHost);
    bool done = release_pinned(address);
    return ordered ? ordered : sticky() ? sticky() : done ? 0 : INVALID_VALUE;
}

// The stream of a call; the null stream, which waits for all others, is nothing that rebias may use.
static bool usable(Stream* stream, const char* function) {
    if (!stream) {
        violation(INVALID_HANDLE, "%s: uses the null stream, which synchronises with every other one", function);
        return false;
    }
    return alive(stream, "stream", function);
}

EXPORT int cuMemcpyHtoDAsync_v2(uintptr_t to, const void* from, size_t bytes, Stream* stream) {
    ENTER_CONTEXT(cuMemcpyHtoDAsync_v2);
    if (!usable(stream, "cuMemcpyHtoDAsync")) return INVALID_HANDLE;
    count("hostToDeviceBytes", static_cast<int64_t>(bytes));
    std::string why;
    if (in_device_memory(reinterpret_cast<uintptr_t>(from), bytes, &why)) {
        violation(INVALID_VALUE, "cuMemcpyHtoDAsync: %p is device memory, not host memory", from);
        return INVALID_VALUE;
    }
    bool pinned = in_pinned_memory(from, bytes);
    enqueue(stream, "copy to device", [=] {
        if (pinned && !in_pinned_memory(from, bytes)) {
            violation(ILLEGAL_ADDRESS, "cuMemcpyHtoDAsync: pinned memory was freed before the copy was done");
        } else if (require_device(reinterpret_cast<void*>(to), bytes, "cuMemcpyHtoDAsync")) {
            memcpy(reinterpret_cast<void*>(to), from, bytes);
            moved("cuMemcpyHtoDAsync", 0, static_cast<int64_t>(bytes));
        }
    });
    // From memory that is not pinned the driver copies only after the stream has come to rest.
    if (!pinned) synchronise(stream);
    return sticky();
}

EXPORT int cuMemcpyDtoHAsync_v2(void* to, uintptr_t from, size_t bytes, Stream* stream) {
    ENTER_CONTEXT(cuMemcpyDtoHAsync_v2);
    if (!usable(stream, "cuMemcpyDtoHAsync")) return INVALID_HANDLE;
    count("deviceToHostBytes", static_cast<int64_t>(bytes));
    bool pinned = in_pinned_memory(to, bytes);
    enqueue(stream, "copy to host", [=] {
        if (pinned && !in_pinned_memory(to, bytes)) {
            violation(ILLEGAL_ADDRESS, "cuMemcpyDtoHAsync: pinned memory was freed before the copy was done");
        } else if (require_device(reinterpret_cast<void*>(from), bytes, "cuMemcpyDtoHAsync")) {
            memcpy(to, reinterpret_cast<void*>(from), bytes);
            moved("cuMemcpyDtoHAsync", static_cast<int64_t>(bytes), 0);
        }
    });
    if (!pinned) synchronise(stream);
    return sticky();
}

EXPORT int cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t bytes, Stream* stream) {
    ENTER_CONTEXT(cuMemcpyDtoDAsync_v2);
    if (!usable(stream, "cuMemcpyDtoDAsync")) return INVALID_HANDLE;
    enqueue(stream, "copy on the device", [=] {
        if (require_device(reinterpret_cast<void*>(from), bytes, "cuMemcpyDtoDAsync, from") &&
            require_device(reinterpret_cast<void*>(to), bytes, "cuMemcpyDtoDAsync, to")) {
            memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
        }
    });
    return sticky();
}

EXPORT int cuMemsetD8Async(uintptr_t to, unsigned char value, size_t bytes, Stream* stream) {
    ENTER_CONTEXT(cuMemsetD8Async);
    if (!usable(stream, "cuMemsetD8Async")) return INVALID_HANDLE;
    enqueue(stream, "fill", [=] {
        if (!require_device(reinterpret_cast<void*>(to), bytes, "cuMemsetD8Async")) return;
        fill(to, value, bytes);
        // What fills memory like new here is rebias' own poison, which no card gets.
        if (value != 0xff) moved("cuMemsetD8Async", 0, static_cast<int64_t>(bytes));
    });
    return 0;
}

EXPORT int cuStreamCreate(Stream** stream, unsigned flags) {
    ENTER_CONTEXT(cuStreamCreate);
    if (flags != 1) {
        violation(INVALID_VALUE, "cuStreamCreate: a stream without CU_STREAM_NON_BLOCKING waits for the null stream");
        return INVALID_VALUE;
    }
    *stream = create_stream();
    return 0;
}

EXPORT int cuStreamDestroy_v2(Stream* stream) {
    ENTER_RELEASE(cuStreamDestroy_v2);
    destroy_stream(stream);
    return ordered ? ordered : sticky();
}

EXPORT int cuStreamSynchronize(Stream* stream) {
    ENTER_CONTEXT(cuStreamSynchronize);
    if (!usable(stream, "cuStreamSynchronize")) return INVALID_HANDLE;
    synchronise(stream);
    return sticky();
}

EXPORT int cuStreamWaitEvent(Stream* stream, Event* event, unsigned) {
    ENTER_CONTEXT(cuStreamWaitEvent);
    if (!usable(stream, "cuStreamWaitEvent") || !alive(event, "event", "cuStreamWaitEvent")) return INVALID_HANDLE;
    wait(stream, event);
    return 0;
}

EXPORT int cuEventCreate(Event** event, unsigned) {
    ENTER_CONTEXT(cuEventCreate);
    *event = create_event();
    return 0;
}

EXPORT int cuEventDestroy_v2(Event* event) {
    ENTER_RELEASE(cuEventDestroy_v2);
    destroy_event(event);
    return ordered ? ordered : sticky();
}

EXPORT int cuEventRecord(Event* event, Stream* stream) {
    ENTER_CONTEXT(cuEventRecord);
    if (!usable(stream, "cuEventRecord") || !alive(event, "event", "cuEventRecord")) return INVALID_HANDLE;
    record(event, stream);
    return 0;
}

EXPORT int cuEventQuery(Event* event) {
    ENTER_CONTEXT(cuEventQuery);
    if (!alive(event, "event", "cuEventQuery")) return INVALID_HANDLE;
    return complete(event) ? 0 : NOT_READY;
}

EXPORT int cuEventSynchronize(Event* event) {
    ENTER_CONTEXT(cuEventSynchronize);
    if (!alive(event, "event", "cuEventSynchronize")) return INVALID_HANDLE;
    synchronise(event);
    return sticky();
}

// ---- modules: an image is what NVRTC's stand-in made, a shared library with the sizes of the image before it

EXPORT int cuModuleLoadData(Module** module, const void* image) {
    ENTER_CONTEXT(cuModuleLoadData);
    struct Header {
        char magic[16];
        char architecture[16];
        uint64_t bytes;
    } header;
    memcpy(&header, image, sizeof header);
    if (memcmp(header.magic, "emulated cubin\0", 16) != 0) return INVALID_IMAGE;
    if (strcmp(header.architecture, ARCHITECTURE) != 0) return NO_BINARY_FOR_GPU;
    // In a file of its own name: the loader takes a name that it has seen for the library that it has loaded.
    std::string path = (std::filesystem::temp_directory_path() / "emulated-module-XXXXXX").string();
    int fd = mkstemp(path.data());
    const char* bytes = static_cast<const char*>(image) + sizeof header;
    for (size_t done = 0; done < header.bytes;) {
        ssize_t n = write(fd, bytes + done, header.bytes - done);
        if (n <= 0) return INVALID_IMAGE;
        done += static_cast<size_t>(n);
    }
    close(fd);
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    unlink(path.c_str());
    if (!library) {
        violation(INVALID_IMAGE, "cuModuleLoadData: %s", dlerror());
        return INVALID_IMAGE;
    }
    *module = new Module{library, {}};
    born_on_device(*module, "module");
    return 0;
}

EXPORT int cuModuleUnload(Module* module) {
    ENTER_RELEASE(cuModuleUnload);
    if (!died(module, "module", "cuModuleUnload")) return INVALID_HANDLE;
    // What is still waiting to run would run in unmapped memory; the driver too waits here.
    finish_everything();
    for (auto& [name, kernel] : module->kernels) kernels().erase(kernel.get());
    dlclose(module->library);
    delete module;
    return ordered ? ordered : sticky();
}

EXPORT int cuModuleGetFunction(Kernel** function, Module* module, const char* name) {
    ENTER_CONTEXT(cuModuleGetFunction);
    if (!alive(module, "module", "cuModuleGetFunction")) return INVALID_HANDLE;
    auto symbol = [&](const char* prefix) { return dlsym(module->library, (std::string(prefix) + name).c_str()); };
    if (!symbol("emulator_run_")) return NOT_FOUND;
    auto kernel = std::make_unique<Kernel>();
    kernel->parameters = reinterpret_cast<int (*)()>(symbol("emulator_parameters_"))();
    kernel->pack = reinterpret_cast<void* (*)(void**)>(symbol("emulator_pack_"));
    kernel->run = reinterpret_cast<void (*)(void*)>(symbol("emulator_run_"));
    kernel->drop = reinterpret_cast<void (*)(void*)>(symbol("emulator_drop_"));
    reinterpret_cast<void (*)(char**, char**)>(dlsym(module->library, "emulator_shared_range"))(&kernel->shared_begin,
                                                                                                &kernel->shared_end);
    auto& slot = module->kernels[name];
    if (!slot) {
        kernel->name = module->kernels.find(name)->first.c_str();
        slot = std::move(kernel);
        kernels()[slot.get()] = module;
    }
    *function = slot.get();
    return 0;
}

EXPORT int cuLaunchKernel(Kernel* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, Stream* stream, void** parameters, void**) {
    ENTER_CONTEXT(cuLaunchKernel);
    if (!usable(stream, "cuLaunchKernel")) return INVALID_HANDLE;
    if (!kernels().count(kernel)) {
        violation(INVALID_HANDLE, "cuLaunchKernel: %p is no function of a loaded module", static_cast<void*>(kernel));
        return INVALID_HANDLE;
    }
    if (!alive(kernels()[kernel], "module", "cuLaunchKernel")) return INVALID_HANDLE;
    bool fits = gx > 0 && gy > 0 && gz > 0 && gx <= 0x7fffffff && gy <= 65535 && gz <= 65535 && bx > 0 && by > 0 &&
                bz > 0 && static_cast<uint64_t>(bx) * by * bz <= 1024 && shared <= 48 << 10;
    if (!fits) {
        violation(
            INVALID_VALUE,
            "cuLaunchKernel: %s with grid %u x %u x %u, block %u x %u x %u, %u bytes of shared memory is out of bounds",
            kernel->name, gx, gy, gz, bx, by, bz, shared);
        return INVALID_VALUE;
    }
    // The real call cannot tell how many arguments there are; rebias ends them with a null, so that this one can.
    int given = 0;
    while (given < 64 && parameters[given]) given++;
    if (given != kernel->parameters) {
        violation(INVALID_VALUE, "cuLaunchKernel: %s has %d parameters and was given %d arguments", kernel->name,
                  kernel->parameters, given);
        return INVALID_VALUE;
    }
    count("launches");
    std::shared_ptr<void> packed(kernel->pack(parameters), kernel->drop);
    Grid grid{{gx, gy, gz}, {bx, by, bz}};
    enqueue(stream, kernel->name, [=] { run_grid(*kernel, grid, packed.get()); });
    return 0;
}
