#!/bin/sh
# Starts rebias in a container. Everything it writes besides its outputs goes to a temporary folder, so the root file
# system may be read-only.
set -eu
home=${REBIAS_HOME:-/opt/rebias}

temporary=${TMPDIR:-/tmp}
if ! { [ -d "$temporary" ] && [ -w "$temporary" ]; }; then
    echo "rebias: the temporary folder '$temporary' cannot be written: mount one, e.g. --tmpfs /tmp:exec" >&2
    exit 1
fi

# Kernels that the image holds compiled, and where those go that only a certain network needs.
export REBIAS_KERNELS="${REBIAS_KERNELS:-$home/kernels}"
export REBIAS_CACHE="${REBIAS_CACHE:-$temporary/rebias-kernels}"

# exec: signals reach Java, and its exit code is the container's.
exec "$home/bin/rebias" "$@"
