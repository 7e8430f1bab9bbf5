#!/usr/bin/env bash
# What can be checked of docker/ without an engine; run after the distribution was built (mvn -Pdist package).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
problems=0
complain() {
    echo "docker/check.sh: $*" >&2
    problems=$((problems + 1))
}

for file in docker/Dockerfile.*; do
    [[ $file == *.dockerignore ]] && continue
    # Continued lines joined, comments dropped.
    lines=$(sed -e '/^ *#/d' "$file" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}')
    # Every image has a version that is no "latest".
    while read -r _ image _; do
        [[ $image == *:* && $image != *:latest ]] || complain "$file: image $image has no fixed version"
    done < <(grep '^FROM ' <<<"$lines")
    # Every COPY source exists, here or where the build stage makes it, and the .dockerignore lets it through.
    while read -r _ first rest; do
        if [[ $first == --from=* ]]; then
            source=${rest%% *}
            case $source in
                /rebias | /opt/java/openjdk) ;;
                /src/*) [ -e "${source#/src/}" ] || complain "$file: $source is not what the build makes" ;;
                *) complain "$file: $source is unknown to this check" ;;
            esac
        else
            # All but the last word are sources.
            for source in $first ${rest% *}; do
                [ "$source" = "$rest" ] && continue
                [ -e "$source" ] || complain "$file: COPY source $source does not exist"
                grep -qE "^!${source}(/.*)?$" "$file.dockerignore" || complain "$file.dockerignore leaves out $source"
            done
        fi
    done < <(grep '^COPY ' <<<"$lines")
    grep -qE '^USER [1-9][0-9]*' <<<"$lines" || complain "$file: runs as root"
    grep -q '^ENTRYPOINT \["/opt/rebias/entrypoint.sh"\]' <<<"$lines" || complain "$file: another entry point"
done

for script in docker/entrypoint.sh launcher/rebias launcher/start.sh rebias; do
    bash -n "$script" || complain "$script is no valid shell"
done

# The image's layout, here, with a home that cannot be written and an empty environment: the distribution's folder and
# the entry script.
distribution=$(compgen -G 'target/dist/rebias-*') || { echo "docker/check.sh: there is no distribution: mvn -Pdist package" >&2; exit 1; }
image=$(mktemp -d)
trap 'chmod -R u+w "$image"; rm -rf "$image"' EXIT
mkdir -p "$image/opt" "$image/tmp" "$image/work"
cp -a "$distribution" "$image/opt/rebias"
rm -rf "$image/opt/rebias/check"
cp docker/entrypoint.sh "$image/opt/rebias/"
# As the image's user, where this runs as root: nothing but the temporary folder and /work may need writing.
as_user=()
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    as_user=(setpriv --reuid 10001 --regid 10001 --clear-groups)
fi
start() {
    (cd "$image/work" && "${as_user[@]}" env -i PATH="$PATH" HOME=/nonexistent REBIAS_HOME="$image/opt/rebias" TMPDIR="$image/tmp" \
        "$image/opt/rebias/entrypoint.sh" "$@")
}
expect() {
    local wanted=$1 got=0
    shift
    start "$@" >"$image/said" 2>&1 || got=$?
    [ "$got" = "$wanted" ] || { complain "'rebias $*' exits $got instead of $wanted:"; cat "$image/said" >&2; }
}
fashion=$image/opt/rebias/examples/fashion
pair=(--float "$fashion/float.onnx" --quantized "$fashion/w3a8.onnx" --samples "$fashion/calibration.npz" --scale 255 --mean 0.2860 --std 0.3530)
# Nothing may be written there.
chmod -R a+rX,a-w "$image/opt"
chmod a+rx "$image"
chmod a+rwx "$image/tmp" "$image/work"
expect 0 --version
expect 0 doctor
expect 2 --no-such-option
expect 0 correct "${pair[@]}" --limit 16 --device cpu --output c.onnx
[ -s "$image/work/c.onnx" ] || complain "no corrected model was written"
expect 2 correct "${pair[@]}" --limit 16 --device cpu --output c.onnx
expect 4 correct --float "$fashion/float.onnx" --quantized "$fashion/calibration.npz" --samples "$fashion/calibration.npz" --output d.onnx
if ! start doctor | grep -q 'cuda  libraries ready'; then
    expect 3 correct "${pair[@]}" --limit 16 --device cuda --output d.onnx
fi
TMPDIR_missing=$(env -i PATH="$PATH" REBIAS_HOME="$image/opt/rebias" TMPDIR=/nonexistent "$image/opt/rebias/entrypoint.sh" --version 2>&1) &&
    complain "a missing temporary folder goes unnoticed"
[[ $TMPDIR_missing == *"cannot be written"* ]] || complain "a missing temporary folder is not named: $TMPDIR_missing"

[ "$problems" -eq 0 ] && echo "docker/: sources, versions, users, entry script and exit codes are as they should be"
