#!/bin/sh
# Starts rebias in a container. Everything it writes besides its outputs goes to a temporary folder, so the root file system may be read-only.
set -eu
home=${REBIAS_HOME:-/opt/rebias}

temporary=${TMPDIR:-/tmp}
if ! { [ -d "$temporary" ] && [ -w "$temporary" ]; }; then
    echo "rebias: the temporary folder '$temporary' cannot be written: mount one, e.g. --tmpfs /tmp:exec" >&2
    exit 1
fi

# Tensors live outside the Java heap: four fifths of what the container may use.
memory_kb=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
if [ "$limit" != max ] && [ $((limit / 1024)) -lt "$memory_kb" ]; then
    memory_kb=$((limit / 1024))
fi

# ONNX Runtime's Linux library reports home unless this is set before it is loaded.
export ORT_DISABLE_TELEMETRY=1
# The CPU device shares samples out to threads itself; each of oneDNN's operations then has one.
export OMP_NUM_THREADS=1
# Kernels that the image holds compiled, and where those go that only a certain network needs.
export REBIAS_KERNELS="${REBIAS_KERNELS:-$home/kernels}"
export REBIAS_CACHE="${REBIAS_CACHE:-$temporary/rebias-kernels}"

terminal=false
if [ -t 2 ]; then terminal=true; fi

# exec: signals reach Java, and its exit code is the container's.
exec java -XX:MaxDirectMemorySize=$((memory_kb / 5 * 2))k -XX:+UseParallelGC -Djava.io.tmpdir="$temporary" \
    -Donnxruntime.native.path="$home/native" \
    -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 -Drebias.openmp.single=true -Dslf4j.internal.verbosity=ERROR -Dorg.bytedeco.javacpp.cachedir="${REBIAS_JAVACPP_CACHE:-$home/javacpp}" \
    -Drebias.home="$home" -Drebias.terminal=$terminal -cp "$home/rebias.jar:$home/lib/*" dev.rebias.cli.Main "$@"
