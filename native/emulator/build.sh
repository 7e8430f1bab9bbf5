#!/usr/bin/env bash
# Builds the emulated CUDA libraries with plain g++ into a folder, to be put first on LD_LIBRARY_PATH.
# With --if-possible a machine without g++ or of another kind is told so, and that is all.
set -euo pipefail
if [ "${1:-}" = --if-possible ]; then
    shift
    if ! command -v g++ >/dev/null || [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo "The CUDA emulator needs Linux on x86-64 and g++: the tests that run on it are skipped here."
        exit 0
    fi
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build.sh [--if-possible] FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Nothing to do if the libraries are newer than the sources.
stamp=$out/libcublas.so.13
if [ -e "$stamp" ] && [ -z "$(find "$here" -type f -newer "$stamp" -print -quit)" ]; then
    exit 0
fi

flags=(-std=c++17 -O3 -march=native -ffp-contract=off -fPIC -fvisibility=hidden -Wall -Wextra -pthread)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

compile() {
    g++ "${flags[@]}" -c "$here/$1.cpp" -o "$objects/$1.o"
}
printf '%s\n' report memory streams blocks cudnn_convolution driver runtime nvrtc cublas cudnn_graph cudnn_ops cudnn_cnn |
    xargs -P 2 -I{} bash -c "$(declare -p flags here objects); $(declare -f compile); compile {}"

# What the stand-ins share is one library, so that they are one device.
g++ -shared -o "$out/librebias-emulator.so" -Wl,-soname,librebias-emulator.so \
    "$objects"/{report,memory,streams,blocks,cudnn_convolution}.o -pthread -ldl

# A stand-in carries the version that the real library's symbols have: its own name.
library() {
    local name=$1
    shift
    printf '%s { global: *; };\n' "$name" >"$objects/version"
    g++ -shared -o "$out/$name" -Wl,-soname,"$name" -Wl,--version-script,"$objects/version" -Wl,--no-as-needed \
        -L"$out" -lrebias-emulator -Wl,-rpath,'$ORIGIN' "$@" -ldl
}
library libcuda.so.1 "$objects/driver.o"
library libcudart.so.13 "$objects/runtime.o"
library libnvrtc.so.13 "$objects/nvrtc.o"
library libcudnn_graph.so.9 "$objects/cudnn_graph.o"
library libcudnn_ops.so.9 "$objects/cudnn_ops.o"
library libcudnn_cnn.so.9 "$objects/cudnn_cnn.o"
library libcudnn_adv.so.9
library libcublasLt.so.13
# For real libraries on a machine without a driver: an empty libcuda.so.1, which their Java presets want to be there.
mkdir -p "$out/../stub"
echo | g++ -shared -x c -Wl,-soname,libcuda.so.1 -o "$out/../stub/libcuda.so.1" -
cp "$here/cuda_on_cpu.h" "$out/"
library libcublas.so.13 "$objects/cublas.o"
