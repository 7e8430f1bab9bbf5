#!/usr/bin/env bash
# check.sh EMULATOR: builds both images with buildah and runs them as an engine does: the image's entry point and user,
# a read-only root, a mounted folder for data, no network, no privileges. As root, after the distribution was built
# (mvn -Pdist package). The base of the CPU image is a plain Debian; that of the GPU image has the emulator's libraries
# besides, where NVIDIA's has CUDA's, and g++, the emulator's compiler. The emulated driver is mounted, as
# NVIDIA's container toolkit mounts the real one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
emulator=$(cd "${1:?usage: check.sh EMULATOR}" && pwd)
fail() { echo "docker/check.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "only root can build images here"
for tool in buildah debootstrap unshare setpriv; do
    command -v "$tool" >/dev/null || fail "it needs $tool: apt-get install buildah debootstrap util-linux"
done
compgen -G 'target/dist/rebias-*' >/dev/null && [ -e target/dist/stub ] || fail "there is no distribution: mvn -Pdist package"
for file in docker/Dockerfile.cpu docker/Dockerfile.cuda; do
    base=$(sed -n 's/^ARG BASE=//p' "$file")
    [[ $base == *:* && $base != *:latest ]] || fail "$file: its base '$base' has no fixed version"
done

place=$(mktemp -d)
export BUILDAH_ISOLATION=chroot
engine() {
    local verb=$1
    shift
    buildah --root "$place/store" --runroot "$place/run" --storage-driver vfs "$verb" "$@"
}
leave() {
    if mountpoint -q "$place/debian"; then umount "$place/debian"; fi
    rm -rf "$place"
}
trap leave EXIT
began=$SECONDS
took() {
    echo "$1: $((SECONDS - began)) s"
    began=$SECONDS
}

# ---- the bases
# In memory, and later without waiting for the disk after each package: nobody needs these files after a crash.
mkdir "$place/debian"
mount -t tmpfs tmpfs "$place/debian"
debootstrap --variant=minbase bookworm "$place/debian" >"$place/log" 2>&1 || { tail "$place/log" >&2; fail "debootstrap fails"; }
rm -f "$place"/debian/var/cache/apt/archives/*.deb
echo force-unsafe-io >"$place/debian/etc/dpkg/dpkg.cfg.d/unsafe-io"
container=$(engine from scratch)
engine add -q "$container" "$place/debian" / >/dev/null
umount "$place/debian"
engine commit -q "$container" base >/dev/null
took "Debian"
container=$(engine from --pull-never localhost/base)
engine run "$container" -- apt-get -o Acquire::Retries=3 install -y -q --no-install-recommends g++ >"$place/log" 2>&1 || { tail "$place/log" >&2; fail "the GPU image's base gets no g++"; }
mkdir "$place/cuda"
cp -L "$emulator"/* "$place/cuda/"
mv "$place/cuda/libcuda.so.1" "$place/"
engine copy -q "$container" "$place/cuda" /usr/local/cuda/lib64 >/dev/null
engine config --env LD_LIBRARY_PATH=/usr/local/cuda/lib64 "$container"
engine commit -q "$container" cuda-base >/dev/null
took "Debian with the emulator as its CUDA"

# ---- the images. Kernels are compiled for the one architecture that the emulated card has.
architecture=$(LD_LIBRARY_PATH=$emulator ./rebias doctor | grep -oE -m 1 'sm_[0-9]+') || fail "./rebias doctor finds no emulated card in $emulator"
engine build -q --pull-never --build-arg BASE=localhost/base -f docker/Dockerfile.cpu -t rebias:cpu . >/dev/null
took "the CPU image"
engine build -q --pull-never --build-arg BASE=localhost/cuda-base --build-arg ARCHITECTURES="$architecture" -f docker/Dockerfile.cuda -t rebias:cuda . >/dev/null
took "the GPU image, its kernels for $architecture compiled by the emulator's NVRTC"

# ---- running one
# use IMAGE: `started` and `expect` start that one.
use() {
    local config='.OCIv1.Config'
    image=$1
    root=$(engine mount "$(engine from --pull-never "localhost/$image")")
    user=$(engine inspect --type image --format "{{$config.User}}" "localhost/$image")
    folder=$(engine inspect --type image --format "{{$config.WorkingDir}}" "localhost/$image")
    mapfile -t environment < <(engine inspect --type image --format "{{range $config.Env}}{{println .}}{{end}}" "localhost/$image" | grep .)
    mapfile -t entry < <(engine inspect --type image --format "{{range $config.Entrypoint}}{{println .}}{{end}}" "localhost/$image" | grep .)
    mapfile -t command < <(engine inspect --type image --format "{{range $config.Cmd}}{{println .}}{{end}}" "localhost/$image" | grep .)
    [[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "$image runs as '$user'"
    echo "rebias:${image#rebias:}: $(du -sm "$root" | cut -f 1) MB, $(du -sm "$root/opt/rebias" | cut -f 1) MB of them rebias"
}
# What a container is given besides its image: a folder at /work that its user may write, and the driver's library.
data=$place/work
mkdir "$data"
chown 10001:10001 "$data"
mounted=("$data:/work")
# started VARIABLE=VALUE.. -- ARGUMENT..: the container's exit code is this one's.
started() {
    local more=()
    while [ "$1" != -- ]; do more+=("$1"); shift; done
    shift
    local arguments=("$@")
    [ $# -gt 0 ] || arguments=("${command[@]}")
    # shellcheck disable=SC2016
    unshare --mount --net --ipc --uts --pid --fork --kill-child -- bash -euc '
        root=$1 user=$2 folder=$3 volumes=$4
        shift 4
        mount --bind "$root" "$root"
        while IFS=: read -r from to; do
            if [ -d "$from" ]; then mkdir -p "$root$to"; else touch "$root$to"; fi
            mount --bind "$from" "$root$to"
        done <<<"$volumes"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        mount -o remount,bind,ro "$root"
        if touch "$root/opt/rebias/new" 2>/dev/null; then echo "the root can be written" >&2; exit 70; fi
        cd "$root"
        exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" env -i "$@"
    ' - "$root" "$user" "$folder" "$(printf '%s\n' "${mounted[@]}")" "${environment[@]}" HOME=/ "${more[@]}" \
        sh -c 'cd "$0" && exec "$@"' "$folder" "${entry[@]}" "${arguments[@]}"
}
# expect CODE [VARIABLE=VALUE..] -- ARGUMENT..: what it says goes to the file `said`.
said=$place/said
expect() {
    local wanted=$1 got=0
    shift
    started "$@" >"$said" 2>&1 || got=$?
    [ "$got" = "$wanted" ] || { cat "$said" >&2; fail "rebias:${image#rebias:} exits $got instead of $wanted: $*"; }
}
says() { grep -q -- "$1" "$said" || { cat "$said" >&2; fail "that says nothing of '$1'"; }; }
same() { cmp "$1" "$2" || fail "$1 is not what a run outside gives"; }

# ---- the example, corrected inside and outside, by each device
cp examples/fashion/{float,w3a8}.onnx examples/fashion/calibration.npz "$data/"
printf '%s\n' 'defaults: {float: float.onnx, quantized: w3a8.onnx, samples: calibration.npz, scale: 255, mean: 0.286, std: 0.353, limit: 32}' \
    'jobs:' '  - {output: layer.onnx}' '  - {output: network.onnx, reference: network}' >"$data/manifest.yaml"
pair=(--float=float.onnx --quantized=w3a8.onnx --samples=calibration.npz --scale=255 --mean=0.286 --std=0.353 --limit=32)
outside() {
    (cd "$data" && "$OLDPWD/rebias" correct "${pair[@]}" --skip-existing --quiet "$@")
}

use rebias:cpu
expect 0 --
says 'Usage: rebias'
expect 0 -- doctor
expect 2 -- --no-such-option
expect 4 -- correct --float=float.onnx --quantized=calibration.npz --samples=calibration.npz --output=none.onnx
expect 3 -- correct "${pair[@]}" --device=cuda --output=none.onnx
expect 1 TMPDIR=/nonexistent -- --version
says 'cannot be written: mount one'
outside --device=cpu --output="$place/outside.onnx"
expect 0 -- correct "${pair[@]}" --skip-existing --device=cpu --output=cpu.onnx --report=cpu.json
same "$data/cpu.onnx" "$place/outside.onnx"
expect 2 -- correct "${pair[@]}" --device=cpu --output=cpu.onnx
# The folder that a user forgot to make writable.
chmod a-w "$data"
chown 0:0 "$data"
expect 1 -- correct "${pair[@]}" --device=cpu --output=other.onnx
says "folder '/work' cannot be written to"
chown 10001:10001 "$data"
chmod u+w "$data"
expect 0 -- batch manifest.yaml --out=out --devices=cpu:2
says '2 done, 0 there already'
same "$data/out/layer.onnx" "$place/outside.onnx"
expect 0 -- batch manifest.yaml --out=out --devices=cpu:2
says '0 done, 2 there already'
took "the CPU image: user $user, a read-only root, the same bytes as outside, a batch, exit codes 0 to 4"

use rebias:cuda
expect 3 -- correct "${pair[@]}" --device=cuda --output=none.onnx
mounted+=("$place/libcuda.so.1:/usr/lib/x86_64-linux-gnu/libcuda.so.1")
mkdir "$data/kernels"
chown 10001:10001 "$data/kernels"
cached=(REBIAS_CACHE=/work/kernels)
expect 0 "${cached[@]}" -- doctor
says 'the emulator, a test instrument'
built=$(find "$root/opt/rebias/kernels" -name '*.cubin' | wc -l)
[ "$built" -gt 0 ] || fail "the GPU image holds no kernels"
expect 0 "${cached[@]}" -- correct "${pair[@]}" --skip-existing --device=cuda --output=cuda.onnx
LD_LIBRARY_PATH=$emulator outside --device=cuda --output="$place/outside-cuda.onnx"
same "$data/cuda.onnx" "$place/outside-cuda.onnx"
# Of the kernels that came to be at run time none is one that the image has; and a second run finds them all.
compiled=$(cd "$data/kernels" && find . -name '*.cubin' | sort)
[ -n "$compiled" ] || fail "no kernel that was written for the network is in the mounted cache"
while read -r kernel; do
    [ ! -e "$root/opt/rebias/kernels/$kernel" ] || fail "$kernel was compiled, though the image has it"
done <<<"$compiled"
touch "$place/after"
expect 0 "${cached[@]}" -- correct "${pair[@]}" --skip-existing --device=cuda --output=again.onnx
same "$data/again.onnx" "$place/outside-cuda.onnx"
[ -z "$(find "$data/kernels" -newer "$place/after" -name '*.cubin')" ] || fail "kernels were compiled again that the mounted cache has"
expect 0 "${cached[@]}" -- batch manifest.yaml --out=cards --devices=cuda:all
says '2 done, 0 there already'
same "$data/cards/layer.onnx" "$place/outside-cuda.onnx"
took "the GPU image on the emulated card: $built kernels ($(du -sk "$root/opt/rebias/kernels" | cut -f 1) kB) from the image, $(wc -l <<<"$compiled") compiled into the mounted cache and found there by the next run"
