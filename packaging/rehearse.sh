#!/usr/bin/env bash
# rehearse.sh EMULATOR: unpacks both archives of target/ as a user without privileges where no java is on the PATH, into
# a folder that is then read-only, and
# runs from there what a user runs: doctor, the demo, gpu-check on the emulator. Fails when a step's result is missing.
# Prints the archives' sizes, and bounds them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
emulator=$(cd "${1:?usage: rehearse.sh EMULATOR}" && pwd)
fail() { echo "packaging/rehearse.sh: $*" >&2; exit 1; }
mebibytes() { echo $(( ($1 + 1048575) / 1048576 )); }

main=$(compgen -G 'target/rebias-*-linux-x86_64.tar.xz') || fail "there is no distribution: mvn -Pdist package"
check=$(compgen -G 'target/rebias-*-linux-x86_64-check.tar.xz') || fail "there is no check archive: mvn -Pdist package"
# The examples and the tests' data are in the archives; what else there is of the repository counts besides.
others=$(git ls-files -z -- ':!examples' ':!src/test/resources/assets' | xargs -0 stat -c %s | awk '{n += $1} END {print n}')
bytes_main=$(stat -c %s "$main") bytes_check=$(stat -c %s "$check")
# bounded WHAT BYTES MOST: says how large something is, and how large it may be, both in MiB.
bounded() {
    echo "$1: $(mebibytes "$2") MiB of $3"
    [ "$2" -le $(($3 << 20)) ] || fail "$1: $2 bytes are more than $3 MiB"
}
bounded "the distribution" "$bytes_main" 48
bounded "its check" "$bytes_check" 8
bounded "both with the repository's other files" $((bytes_main + bytes_check + others)) 60

place=$(mktemp -d)
# Kernels that were compiled are kept for the next time.
leave() {
    if [ -d "$place/work/kernels" ]; then mkdir -p target/kernel-cache && cp -rn "$place/work/kernels/." target/kernel-cache/; fi
    chmod -R u+w "$place"
    rm -rf "$place"
}
trap leave EXIT
mkdir "$place/tools" "$place/work" "$place/tmp"
# The tools that starting needs, those of the emulator's compiler, and no java.
for tool in bash awk cat dirname readlink env rm mkdir mktemp sh g++ gcc as ld cc1plus; do
    if found=$(command -v "$tool"); then ln -s "$found" "$place/tools/$tool"; fi
done
tar -xJf "$main" -C "$place"
tar -xJf "$check" -C "$place"
folder=$(compgen -G "$place/rebias-*") || fail "the archives hold no folder rebias-*"
# Every file of other people's has its line in the list of licences, and every text that the list names is there.
list=$folder/licences/LIBRARIES.md
listed=() texts=0
while IFS='|' read -r _ library files _ named _; do
    mapfile -t patterns < <(grep -oE '(lib|native)/[A-Za-z0-9._*-]+' <<<"$files")
    mapfile -t own < <(grep -oE '\.\./LICENSE|[A-Za-z0-9._*-]+(/|\.txt)' <<<"$named")
    [ "${#patterns[@]}" -gt 0 ] && [ "${#own[@]}" -gt 0 ] || fail "licences/LIBRARIES.md names no file or no text for$library"
    for text in "${own[@]}"; do
        compgen -G "$folder/licences/$text" >/dev/null || fail "licences/LIBRARIES.md names '$text', which is not there"
    done
    listed+=("${patterns[@]}") texts=$((texts + ${#own[@]}))
done < <(grep '^|' "$list" | tail -n +3)
[ "$texts" -gt 0 ] || fail "licences/LIBRARIES.md has no table"
for file in "$folder"/lib/* "$folder"/native/*; do
    name=${file#"$folder/"} known=
    for pattern in "${listed[@]}" lib/rebias.jar; do
        # shellcheck disable=SC2053
        if [[ $name == $pattern ]]; then known=yes; fi
    done
    [ -n "$known" ] || fail "licences/LIBRARIES.md says nothing of $name"
done
echo "licences: $texts texts for ${#listed[@]} kinds of files"
# The emulator as a machine has CUDA: the driver where the system looks for it, all else as Python's packages have it.
packages=$place/python/site-packages/nvidia
mkdir -p "$place/emulator" "$place/driver" "$packages/cu13/lib" "$packages/cudnn/lib"
cp -L "$emulator"/* "$place/emulator/"
for file in "$place"/emulator/*; do
    case $(basename "$file") in
        libcuda.so.1) ln -s "$file" "$place/driver/" ;;
        libcudnn*) ln -s "$file" "$packages/cudnn/lib/" ;;
        lib*.so.*) ln -s "$file" "$packages/cu13/lib/" ;;
        # What the stand-ins share, and what they read, lies beside each.
        *) for lib in "$place/driver" "$packages/cu13/lib" "$packages/cudnn/lib"; do ln -s "$file" "$lib/"; done ;;
    esac
done
# Kernels that the tests have had compiled need not be compiled again.
mkdir "$place/work/kernels"
if [ -d target/kernel-cache ]; then cp -r target/kernel-cache/. "$place/work/kernels/"; fi
printf '#!/bin/sh\necho %q\n' "$place/python/site-packages" >"$place/tools/python3"
chmod +x "$place/tools/python3"
chmod -R a+rX "$place"
chmod -R a-w "$folder" "$place/python" "$place/driver"
chmod -R a+rwX "$place/work" "$place/tmp"

as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid 10001 --regid 10001 --clear-groups); fi
start() {
    (cd "$place/work" && "${as_user[@]}" env -i PATH="$place/tools" HOME=/nonexistent TMPDIR="$place/tmp" REBIAS_CACHE="$place/work/kernels" "$@")
}
if start bash -c 'command -v java' >/dev/null; then fail "java is on the PATH"; fi
start "$folder/bin/rebias" --version
start "$folder/bin/rebias" demo --device cpu
found=$(start LD_LIBRARY_PATH="$place/driver" "$folder/bin/rebias" doctor)
grep -q "taken from Python's packages in" <<<"$found" || { echo "$found" >&2; fail "doctor does not find the libraries of Python's packages"; }
grep -q 'the emulator, a test instrument' <<<"$found" || { echo "$found" >&2; fail "doctor does not find the emulated card"; }

# What an image is built with, a run with no other cache finds, and compiles nothing.
architecture=$(grep -oE 'sm_[0-9]+' <<<"$found" | head -n 1)
fashion=$folder/examples/fashion
start LD_LIBRARY_PATH="$place/driver" "$folder/bin/rebias" kernels --float "$fashion/float.onnx" --quantized "$fashion/w3a8.onnx" --arch "$architecture" --output "$place/work/image" | tail -n 2
start LD_LIBRARY_PATH="$place/driver" REBIAS_KERNELS="$place/work/image" REBIAS_CACHE="$place/work/empty" "$folder/bin/rebias" correct --float "$fashion/float.onnx" --quantized "$fashion/w3a8.onnx" \
    --samples "$fashion/calibration.npz" --scale 255 --mean 0.286 --std 0.353 --limit 8 --device cuda --quiet --output "$place/work/corrected.onnx"
if compgen -G "$place/work/empty/*.cubin" >/dev/null; then fail "kernels were compiled that the image has, or should have"; fi

code=0
start "$folder/bin/rebias" gpu-check --budget 60s --out "$place/work/none" >/dev/null || code=$?
[ "$code" = 3 ] || fail "gpu-check exits $code instead of 3 where there is no driver"

code=0
began=$SECONDS
start LD_LIBRARY_PATH="$place/driver" "$folder/bin/rebias" gpu-check --budget 900s --out "$place/work/check" || code=$?
results=$place/work/check
echo "gpu-check took $((SECONDS - began)) s"
[ "$code" = 0 ] || { cat "$results/summary.md" >&2; tail -n 30 "$results"/*.log >&2; fail "gpu-check exits $code"; }
for step in environment doctor contract goldens probe corrections moments kernels; do
    grep -qE "^\| $step \|[^|]*\| passed \|" "$results/summary.md" || { cat "$results/summary.md" >&2; fail "step $step has no result"; }
    grep -q '"complete" : true' "$results/$step.json" || fail "step $step left no findings"
done
for step in tools baseline; do
    grep -qE "^\| $step \|" "$results/summary.md" || fail "step $step is not in the summary"
done
for file in summary.json probe.tsv cudnn_support.tsv contract-junit goldens-junit; do
    [ -e "$results/$file" ] || fail "gpu-check left no $file"
done
# One step again, and the summary keeps the others.
start LD_LIBRARY_PATH="$place/driver" "$folder/bin/rebias" gpu-check --only environment --budget 60s --out "$place/work/check" || fail "a step alone fails"
grep -qE '^\| contract \|[^|]*\| passed \|' "$results/summary.md" || fail "the summary has lost the other steps"
[ -z "$(find "$folder" -newer "$place/tools/python3" -type f)" ] || fail "something was written into the distribution's folder"
echo "the distribution works from a read-only folder, with no Java of the machine's; gpu-check has all its results"
