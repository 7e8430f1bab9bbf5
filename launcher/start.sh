# What every launcher of rebias shares; sourced, not run. From
#   home     the folder that has examples/
#   natives  a folder with ONNX Runtime's libraries as files; need not exist
# it makes the environment and the array `options`: what the JVM is given whichever way rebias is started.

# Models and samples live outside the Java heap, whose own limit is too small for them: allow two fifths of the memory
# there is.
memory_kb=8388608
if [ -r /proc/meminfo ]; then
    while read -r key value _; do
        if [ "$key" = MemTotal: ]; then memory_kb=$value; break; fi
    done </proc/meminfo
fi
if [ -r /sys/fs/cgroup/memory.max ]; then
    read -r value </sys/fs/cgroup/memory.max
    if [ "$value" != max ] && [ $((value / 1024)) -lt "$memory_kb" ]; then memory_kb=$((value / 1024)); fi
fi

# ONNX Runtime's Linux library reports home unless this is set before it is loaded; rebias also switches that off from
# inside.
export ORT_DISABLE_TELEMETRY=1

# The CPU device shares samples out to threads itself; each of oneDNN's operations then has one.
export OMP_NUM_THREADS=1

# Tensors are touched for the first time in large pages, where the system has them on request (glibc 2.35 and newer).
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}

# Where container platforms mount the driver's libraries without telling the dynamic linker.
if [ -e /usr/local/nvidia/lib64/libcuda.so.1 ]; then
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/local/nvidia/lib64
fi

# Names of files that are not ASCII: Java decodes them as the locale says, which cron, systemd and ssh often leave out.
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in '' | C | POSIX) export LC_ALL=C.UTF-8 ;; esac

terminal=false
if [ -t 2 ]; then terminal=true; fi

# JavaCPP must not mistake the card's mappings for memory of this process. The HDF5 library's logger has nowhere to
# write to, and need not say so.
options=(-XX:MaxDirectMemorySize=$((memory_kb / 5 * 2))k -XX:+UseParallelGC -Djava.io.tmpdir="${TMPDIR:-/tmp}" \
    -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 -Drebias.openmp.single=true -Dslf4j.internal.verbosity=ERROR \
    -Drebias.home="$home" -Drebias.terminal=$terminal)
if [ -d "$natives" ]; then options+=("-Donnxruntime.native.path=$natives"); fi
