#!/usr/bin/env bash
# Compiles every kernel with nvcc for every architecture that rebias supports; fails on a warning or a spilled register.
#   cuda-kernels/compile.sh [FOLDER]...        also compiles the .cu files there (the kernels that rebias wrote, in its
#   cache)
# Prints registers and shared memory per kernel and architecture as a table.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
architectures=(75 80 86 89 90 100 120)

gencode=()
for a in "${architectures[@]}"; do gencode+=(-gencode "arch=compute_$a,code=sm_$a"); done

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

compile() {
    local log
    log=$logs/$(basename "$1").$(printf %s "$1" | cksum | cut -d' ' -f1)
    # There are hundreds of those that rebias wrote, all of one kind: the oldest architecture and that of most servers
    # tell.
    [ "$(dirname "$1")" = "$here" ] || gencode=(-gencode arch=compute_75,code=sm_75 -gencode arch=compute_90,code=sm_90)
    if ! nvcc -fatbin "${gencode[@]}" -std=c++17 --fmad=false -I"$here" -Werror all-warnings -Xptxas -v,-warn-spills \
        -o /dev/null "$1" >"$log" 2>&1; then
        grep -E '(ptxas|nvcc) +(error|fatal|warning)|: (error|warning)' "$log" | sed "s|^|$1: |" >&2
        return 1
    fi
    if grep -qE '[1-9][0-9]* bytes spill|warning' "$log"; then
        echo "$1: spills registers or warns" >&2
        return 1
    fi
}

sources=("$here"/*.cu)
for folder in "$@"; do
    for source in "$folder"/*.cu; do
        # A cache also holds copies of the files above.
        [ -e "$source" ] && grep -q '^typedef .* Index;$' "$source" && sources+=("$source")
    done
done
export -f compile
export here logs
printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c "$(declare -p gencode); set -o pipefail; compile {}"

printf '| kernel |'; printf ' sm_%s |' "${architectures[@]}"; printf ' shared |\n|---|'; printf -- '---|%.0s' "${architectures[@]}" x; printf '\n'
cat "$logs"/* | awk '
    /Compiling entry function/ { split($0, q, "\x27"); kernel = q[2]; arch = q[4] }
    /Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/); used = substr($0, RSTART + 5, RLENGTH - 5)
        if (used + 0 > registers[kernel, arch] + 0) registers[kernel, arch] = used
        if (match($0, /[0-9]+ bytes smem/)) shared[kernel] = substr($0, RSTART, RLENGTH - 5)
        kernels[kernel] = 1
    }
    END {
        n = split("75 80 86 89 90 100 120", a, " ")
        for (kernel in kernels) {
            line = "| " kernel (kernel == "elementwise" || kernel == "integer_layer" ? " (the largest)" : "") " |"
            for (i = 1; i <= n; i++) line = line " " registers[kernel, "sm_" a[i]] " |"
            print line " " (kernel in shared ? shared[kernel] : "0 bytes") " |"
        }
    }' | sort
echo "${#sources[@]} sources compiled, the program's own for ${#architectures[@]} architectures: no warnings, no spills"
