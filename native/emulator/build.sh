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

# What compiled kernels are kept by: whoever changes what they are compiled with, or how, gets others.
version=$(cat "$here"/{cuda_on_cpu.h,kernel_options.txt,nvrtc.cpp,blocks.cpp,emulator.h} | cksum | cut -d ' ' -f 1)
flags+=("-DEMULATOR_VERSION=$((version % 1000000))")

compile() {
    g++ "${flags[@]}" -c "$here/$1.cpp" -o "$objects/$1.o"
}
printf '%s\n' report work memory streams blocks cudnn_convolution cudnn_support driver runtime nvrtc cublas cublas_lt cudnn_graph cudnn_ops cudnn_cnn |
    xargs -P 2 -I{} bash -c "$(declare -p flags here objects); $(declare -f compile); compile {}"

# What the stand-ins share is one library, so that they are one device.
g++ -shared -o "$out/librebias-emulator.so" -Wl,-soname,librebias-emulator.so \
    "$objects"/{report,work,memory,streams,blocks,cudnn_convolution,cudnn_support}.o -pthread -ldl

# A stand-in carries the version that the real library's symbols have: its own name.
library() {
    local name=$1
    shift
    printf '%s { global: *; };\n' "${name//-/_}" >"$objects/version"
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
library libcublasLt.so.13 "$objects/cublas_lt.o"
# Nothing in these is called; but the presets, or cuDNN itself, load them, and would find a toolkit's if they were
# missing here.
for name in libcudnn.so.9 libcudnn_{engines_precompiled,engines_runtime_compiled,engines_tensor_ir,heuristic}.so.9 libnvrtc-builtins.so.13.{0,1}; do
    library "$name"
done
# For real libraries on a machine without a driver: an empty libcuda.so.1, which their Java presets want to be there.
mkdir -p "$out/../stub"
echo | g++ -shared -x c -Wl,-soname,libcuda.so.1 -o "$out/../stub/libcuda.so.1" -
cp "$here"/{cuda_on_cpu.h,kernel_options.txt,cudnn_support.tsv} "$out/"
# What stands before every kernel source, compiled once: half of the time that one takes. Its `#pragma once` is meant.
g++ -x c++-header -w "@$out/kernel_options.txt" "$out/cuda_on_cpu.h" -o "$out/cuda_on_cpu.h.gch"
library libcublas.so.13 "$objects/cublas.o"
