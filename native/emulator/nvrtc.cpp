// libnvrtc.so.13: compiles the very source it is given, with g++ and cuda_on_cpu.h.
#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "emulator.h"

using namespace emulator;
namespace fs = std::filesystem;
extern char** environ;

namespace {

constexpr int OUT_OF_RESOURCES = 1;
constexpr int INVALID_INPUT = 3;
constexpr int INVALID_PROGRAM = 4;
constexpr int INVALID_OPTION = 5;
constexpr int COMPILATION = 6;
constexpr int BUILTIN_OPERATION = 7;
// A real NVRTC opens the built-in functions of its own release by name, here 13.0's, when it compiles for the first
// time, and looks for them neither beside itself nor where its caller found it. Here they must have been loaded.
constexpr const char* BUILTINS = "libnvrtc-builtins.so.13.0";

struct Program {
    std::string source;
    std::string name;
    std::map<std::string, std::string> headers;
    std::string log;
    std::string cubin;
};

fs::path home() {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&emulator::lock), &info);
    return fs::absolute(info.dli_fname).parent_path();
}

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

int run(const std::vector<std::string>& command, const fs::path& log) {
    std::vector<char*> arguments;
    for (const auto& c : command) arguments.push_back(const_cast<char*>(c.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    // The compiler is no client of this device: it must not load the stand-ins.
    std::vector<char*> environment;
    for (char** e = environ; *e; e++) {
        if (strncmp(*e, "LD_LIBRARY_PATH=", 16) != 0 && strncmp(*e, "LD_PRELOAD=", 11) != 0) environment.push_back(*e);
    }
    environment.push_back(nullptr);
    pid_t child;
    int status = posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&files);
    if (status != 0) return -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Entry points for every `extern "C" __global__` function, and the bounds of shared memory.
std::string trailer(const std::string& source) {
    std::string text = "\n#line 1 \"entry points\"\n";
    std::regex kernel("extern\\s+\"C\"\\s+__global__\\s+void\\s+(?:__launch_bounds__\\([^)]*\\)\\s*)?(\\w+)");
    for (auto it = std::sregex_iterator(source.begin(), source.end(), kernel); it != std::sregex_iterator(); ++it) {
        text += "EMULATOR_KERNEL(" + (*it)[1].str() + ")\n";
    }
    return text +
           "extern \"C\" char __start_emulator_shared[] __attribute__((weak, visibility(\"hidden\")));\n"
           "extern \"C\" char __stop_emulator_shared[] __attribute__((weak, visibility(\"hidden\")));\n"
           "extern \"C\" void emulator_shared_range(char** begin, char** end) {\n"
           "    *begin = __start_emulator_shared;\n    *end = __stop_emulator_shared;\n}\n";
}

}  // namespace

#define ENTER(function)                                   \
    std::unique_lock<std::recursive_mutex> guard(lock()); \
    if (int ordered = called(#function, COMPILATION)) return ordered

EXPORT const char* nvrtcGetErrorString(int code) {
    switch (code) {
        case 0:
            return "NVRTC_SUCCESS";
        case OUT_OF_RESOURCES:
            return "NVRTC_ERROR_OUT_OF_MEMORY";
        case INVALID_INPUT:
            return "NVRTC_ERROR_INVALID_INPUT";
        case INVALID_PROGRAM:
            return "NVRTC_ERROR_INVALID_PROGRAM";
        case INVALID_OPTION:
            return "NVRTC_ERROR_INVALID_OPTION";
        case COMPILATION:
            return "NVRTC_ERROR_COMPILATION";
        case BUILTIN_OPERATION:
            return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
        default:
            return "NVRTC_ERROR unknown";
    }
}

// A version that no real NVRTC has: what is compiled here must never be taken for a real card's kernel, nor the other
// way round.
EXPORT int nvrtcVersion(int* major, int* minor) {
    ENTER(nvrtcVersion);
    *major = 0;
    *minor = EMULATOR_VERSION;
    return 0;
}

EXPORT int nvrtcCreateProgram(Program** program, const char* source, const char* name, int n,
                              const char* const* headers, const char* const* names) {
    ENTER(nvrtcCreateProgram);
    auto* made = new Program{source, name ? name : "default_program", {}, "", ""};
    for (int i = 0; i < n; i++) made->headers[names[i]] = headers[i];
    *program = made;
    born(made, "NVRTC program");
    return 0;
}

EXPORT int nvrtcDestroyProgram(Program** program) {
    std::lock_guard<std::recursive_mutex> guard(lock());
    int ordered = called("nvrtcDestroyProgram", INVALID_PROGRAM);
    if (!died(*program, "NVRTC program", "nvrtcDestroyProgram")) return INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return ordered;
}

EXPORT int nvrtcCompileProgram(Program* program, int n, const char* const* options) {
    ENTER(nvrtcCompileProgram);
    if (!alive(program, "NVRTC program", "nvrtcCompileProgram")) return INVALID_PROGRAM;
    if (!dlopen(BUILTINS, RTLD_LAZY | RTLD_NOLOAD)) {
        program->log = std::string("nvrtc: error: failed to open ") + BUILTINS;
        return BUILTIN_OPERATION;
    }
    std::string architecture;
    // The options are those that the header before every source was compiled with: else that were of no use.
    std::vector<std::string> command = {"g++", "-x", "c++", "@" + (home() / "kernel_options.txt").string()};
    for (int i = 0; i < n; i++) {
        std::string option = options[i];
        if (option.rfind("--gpu-architecture=sm_", 0) == 0) {
            architecture = option.substr(strlen("--gpu-architecture="));
        } else if (option.rfind("--define-macro=", 0) == 0) {
            command.push_back("-D" + option.substr(strlen("--define-macro=")));
        } else if (option != "--std=c++17" && option != "--fmad=false") {
            program->log = "nvrtc: error: unrecognized option " + option + " found";
            return INVALID_OPTION;
        }
    }
    if (architecture.empty()) {
        program->log = "nvrtc: error: no architecture sm_XX is named, so there can be no cubin";
        return INVALID_OPTION;
    }
    // As NVRTC does, several threads compile at once, and meanwhile others use the device.
    guard.unlock();
    std::string pattern = (fs::temp_directory_path() / "emulated-nvrtc-XXXXXX").string();
    if (!mkdtemp(pattern.data())) return OUT_OF_RESOURCES;
    fs::path folder = pattern;
    for (const auto& [name, text] : program->headers) std::ofstream(folder / name) << text;
    std::ofstream(folder / "source.cpp") << "#line 1 \"" << program->name << "\"\n"
                                         << program->source << trailer(program->source);
    // Linked by hand: the compiler's own linking would ask for its sanitizer's library, whose hooks the emulator
    // provides.
    fs::path object = folder / "source.o";
    for (const std::string& c :
         {std::string("-c"), "-I" + folder.string(), std::string("-include"), (home() / "cuda_on_cpu.h").string(),
          (folder / "source.cpp").string(), std::string("-o"), object.string()}) {
        command.push_back(c);
    }
    int status = run(command, folder / "log");
    program->log = read(folder / "log");
    if (status == 0) {
        status = run({"g++", "-shared", "-o", (folder / "source.so").string(), object.string(), "-L" + home().string(),
                      "-lrebias-emulator"},
                     folder / "log");
        program->log += read(folder / "log");
    }
    if (status == 0) {
        struct Header {
            char magic[16];
            char architecture[16];
            uint64_t bytes;
        } header{};
        std::string library = read(folder / "source.so");
        memcpy(header.magic, "emulated cubin\0", 16);
        snprintf(header.architecture, sizeof header.architecture, "%s", architecture.c_str());
        header.bytes = library.size();
        program->cubin.assign(reinterpret_cast<const char*>(&header), sizeof header);
        program->cubin += library;
    }
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    if (status < 0) program->log = "g++, with which the emulator compiles kernels, cannot be started";
    return status == 0 ? 0 : COMPILATION;
}

EXPORT int nvrtcGetCUBINSize(Program* program, size_t* size) {
    ENTER(nvrtcGetCUBINSize);
    *size = program->cubin.size();
    return program->cubin.empty() ? INVALID_PROGRAM : 0;
}

EXPORT int nvrtcGetCUBIN(Program* program, char* to) {
    ENTER(nvrtcGetCUBIN);
    memcpy(to, program->cubin.data(), program->cubin.size());
    return 0;
}

EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* size) {
    ENTER(nvrtcGetProgramLogSize);
    *size = program->log.size() + 1;
    return 0;
}

EXPORT int nvrtcGetProgramLog(Program* program, char* to) {
    ENTER(nvrtcGetProgramLog);
    memcpy(to, program->log.c_str(), program->log.size() + 1);
    return 0;
}
