#!/usr/bin/env bash
# build.sh VERSION [--jdk=JDK]: makes the distribution and its check from what 'mvn package' has left in target/:
#   target/rebias-VERSION-linux-x86_64.tar.xz        Java, rebias, its libraries, examples, licences
#   target/rebias-VERSION-linux-x86_64-check.tar.xz  what 'rebias gpu-check' needs besides: tests, JUnit's console,
#   goldens
#   target/dist/rebias-VERSION                       the same as a folder, for the images of docker/
#   target/dist/stub/libcuda.so.1                    an empty library, for those who compile kernels without a driver
# Both archives unpack into one folder, rebias-VERSION. 'mvn -Pdist package' runs this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:?usage: build.sh VERSION [--jdk=JDK]}
jdk=${2:-}
jdk=${jdk#--jdk=}
# The first Java that keeps an AOT cache with profiles of methods, and whose cache may be moved together with the jars.
oldest=25

# ---- a JDK that jlink can make a runtime of: with its jmods, or able to link from its own run-time image
usable() {
    local release
    [ -x "$1/bin/jlink" ] && [ -x "$1/bin/jar" ] && [ -r "$1/release" ] || return 1
    release=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release")
    [ "${release:-0}" -ge "$oldest" ] || return 1
    [ -e "$1/jmods/java.base.jmod" ] || "$1/bin/jlink" --help | grep -q 'Linking from run-time image enabled'
}
if [ -n "$jdk" ]; then
    usable "$jdk" || { echo "dist: '$jdk' is no JDK $oldest or newer that jlink can make a runtime of: it lacks bin/jlink, or jmods/ and linking from its run-time image" >&2; exit 1; }
else
    for candidate in "${JAVA_HOME:-}" /usr/lib/jvm/* "$HOME"/.sdkman/candidates/java/* /opt/java/*; do
        if [ -n "$candidate" ] && usable "$candidate"; then jdk=$candidate; break; fi
    done
    [ -n "$jdk" ] || { echo "dist: no JDK $oldest or newer that jlink can make a runtime of is in JAVA_HOME or /usr/lib/jvm: install one (Eclipse Temurin $oldest, say), or name it: mvn -Pdist package -Ddist.jdk=/path/to/jdk" >&2; exit 1; }
fi
for tool in xz tar unzip strip as ld; do
    command -v "$tool" >/dev/null || { echo "dist: $tool is needed to pack the distribution" >&2; exit 1; }
done

name=rebias-$version
out=$PWD/target/dist
root=$out/$name
rm -rf "$out" target/rebias-*.tar.xz
mkdir -p "$root"/{bin,lib,native,licences} "$out"/{work,stub}
work=$out/work
# Every file gets this time, so that the same sources make the same archive (and the AOT cache knows the jars again).
date=2026-01-01T00:00:00Z

# ---- the Java runtime. Reading images needs java.desktop, but nothing that draws, writes, prints or plays; nobody
# transforms or checks XML, and nothing goes
# to the network. jlink wants every package to keep a class.
unused='java.desktop/(javax/swing|sun/swing|com/sun/java/swing|com/sun/swing|javax/sound|com/sun/media|javax/print|sun/print|sun/awt/(X11|dnd|datatransfer|im|www|screencast|shell)|java/awt/(dnd|print|im)|sun/font|sun/java2d/(marlin|xr|opengl|x11))/'
unused+='|java.xml/com/sun/org/apache/(xalan|xpath|bcel|xerces/internal/(impl/(xs|dv|xpath)|dom|xinclude))/|java.base/(sun/security/(ssl|pkcs12|provider/certpath)|com/sun/crypto|sun/net/(ftp|www/protocol/https?))/'
"$jdk/bin/jimage" list "$jdk/lib/modules" |
    awk '/^Module:/ {module = $2} /^    / {print "/" module "/" $1}' |
    grep -E "^/($unused)" | sort | awk '{folder = $0; sub(/[^\/]*$/, "", folder)} folder == last {print} {last = folder}' >"$work/unused"
[ -s "$work/unused" ] || { echo "dist: the classes of '$jdk' cannot be listed" >&2; exit 1; }
"$jdk/bin/jlink" --add-modules java.base,java.desktop,java.logging,java.management,java.xml,jdk.unsupported,jdk.zipfs \
    --exclude-resources="@$work/unused" --strip-java-debug-attributes --no-header-files --no-man-pages --compress zip-0 --output "$root/runtime"
rm -f "$root"/runtime/lib/{libawt_xawt,libsplashscreen,libjsound,libjawt,libprefs,libfontmanager,libfreetype}.so "$root"/runtime/lib/{jexec,classlist,jrt-fs.jar,psfont*} "$root"/runtime/bin/{jrunscript,keytool,rmiregistry}
# Names of functions that only a debugger reads: 5 MB of the JVM alone.
find "$root/runtime" -name '*.so' -exec strip --strip-unneeded {} +

# ---- jars without native libraries (those lie in native/ as files) and without what only a debugger reads, stored, for
# xz packs them better
unpack() {
    local jar=$1 folder=$work/jars/$(basename "$1")
    mkdir -p "$folder"
    unzip -q -o "$jar" -d "$folder"
    mkdir -p "$work/native"
    # This platform's natives, wherever the jar keeps them.
    find "$folder" -type f \( -path '*/linux-x86_64/*.so*' -o -path '*/linux-x64/*.so' -o -path '*/linux-x86-64/*.so' -o -path '*/Linux/x86_64/*.so' -o -path '*/linux/amd64/*.so' \) -exec mv -t "$work/native" {} +
    find "$folder" -type f \( -name '*.so' -o -name '*.so.*' -o -name '*.dll' -o -name '*.dylib' -o -name '*.jnilib' -o -name '*.yml' -o -name '*.a' -o -name 'Info.plist' -o -path '*.dSYM/*' \) -delete
    licences "$jar" "$folder"
    # The presets' native side is all in native/ now; JavaCPP's jars for one platform are empty.
    case $(basename "$jar") in *-linux-x86_64.jar) rm -rf "$folder" && return ;; esac
    find "$folder" -depth -type d -empty -delete
    # JavaCPP's presets of the parts of CUDA that rebias does not use.
    rm -rf "$folder"/org/bytedeco/cuda/{cufft,cufile,cupti,curand,cusolver,cusparse,nccl,npp*,nvml,nvcomp,nvjpeg} "$folder"/org/bytedeco/cuda/{global,presets}/{cufft,cufile,cupti,curand,cusolver,cusparse,nccl,npp,nvml,nvcomp,nvjpeg,nvToolsExt}*
    rm -rf "$folder"/META-INF/{native-image,proguard} "$folder"/META-INF/*.{SF,RSA,DSA} "$folder/ThirdPartyNotices.txt"
}

# The texts that a library brings, in licences/<library>/.
licences() {
    local library=$root/licences/$(basename "$1" .jar)
    library=${library%-linux-x86_64}
    mkdir -p "$library"
    find "$2" -maxdepth 2 -type f \( -iname '*LICEN[SC]E*' -o -iname '*NOTICE*' \) -exec cp -t "$library" {} +
    rmdir --ignore-fail-on-non-empty "$library"
}

for jar in target/lib/*.jar; do
    unpack "$jar"
done
"$jdk/bin/java" packaging/StripDebug.java "$work/jars" target/lib/*.jar
for folder in "$work"/jars/*; do
    (cd "$folder" && "$jdk/bin/jar" --create --file "$root/lib/$(basename "$folder")" --no-compress --no-manifest --date="$date" $(ls -A))
done

# JavaCPP brings a library for each part of CUDA; these are the ones that rebias loads.
find "$work/native" -name 'libjni*.so' -regextype egrep ! -regex '.*/libjni(javacpp|cudart|nvrtc|cublas|cudnn|dnnl|OpenCL|dispatch)\.so' -delete
mv "$work"/native/* "$root/native/"

# ---- rebias itself, with the class path in its manifest
rm -rf "$work/jar" && mkdir "$work/jar"
unzip -q target/rebias.jar -d "$work/jar"
{
    grep -v '^[[:space:]]*$' "$work/jar/META-INF/MANIFEST.MF" | tr -d '\r'
    echo "Class-Path: "
    (cd "$root/lib" && LC_ALL=C ls) | sed 's/^/  /;s/$/ /'
} >"$work/manifest"
rm "$work/jar/META-INF/MANIFEST.MF"
"$jdk/bin/jar" --create --file "$root/lib/rebias.jar" --manifest "$work/manifest" --no-compress --date="$date" -C "$work/jar" .

cp launcher/rebias launcher/start.sh "$root/bin/"
cp -r examples cuda-kernels "$root/"
# Arrays that are not deflated, for xz packs them better.
while read -r npz; do
    rm -rf "$work/npz" && mkdir "$work/npz"
    unzip -q "$npz" -d "$work/npz"
    "$jdk/bin/jar" --create --file "$npz" --no-compress --no-manifest --date="$date" -C "$work/npz" .
done < <(find "$root/examples" -name '*.npz')
cp LICENSE README.md "$root/"
cp -r docs "$root/docs"
cp -r packaging/licences/. "$root/licences/"

# ---- the AOT cache: classes read and linked. Profiles of methods do not pay (docs/decisions/015-start-up.md).
find "$root" -exec touch -h -d "$date" {} +
fashion=$root/examples/fashion
REBIAS_JAVA_OPTIONS="-XX:AOTCacheOutput=$work/classes.aot -XX:+UnlockDiagnosticVMOptions -XX:-AOTRecordTraining" "$root/bin/rebias" correct --float "$fashion/float.onnx" --quantized "$fashion/w3a8.onnx" \
    --samples "$fashion/calibration.npz" --scale 255 --mean 0.286 --std 0.353 --limit 64 --no-outcome --device cpu --quiet --output "$work/corrected.onnx" >"$work/training" 2>&1 && [ -s "$work/classes.aot" ] ||
    { echo "dist: the training run of the AOT cache failed:" >&2; cat "$work/training" >&2; exit 1; }
mv "$work/classes.aot" "$root/"

# ---- the check: tests, JUnit's console, the models and goldens that they read, laid out as they look for them
check=$root/check
mkdir -p "$check/src/test/resources" "$check/lib"
(cd target/test-classes && "$jdk/bin/jar" --create --file "$check/lib/rebias-tests.jar" --no-compress --no-manifest --date="$date" $(ls -A | grep -vx assets))
for jar in target/check-lib/*.jar; do
    rm -rf "$work/jar" && mkdir "$work/jar"
    unzip -q "$jar" -d "$work/jar"
    "$jdk/bin/jar" --create --file "$check/lib/$(basename "$jar")" --no-compress --no-manifest --date="$date" -C "$work/jar" .
done
cp -r src/test/resources/assets "$check/src/test/resources/"
ln -s ../examples "$check/examples"

as -o "$work/empty.o" /dev/null
ld -shared -soname libcuda.so.1 -o "$out/stub/libcuda.so.1" "$work/empty.o"

# ---- the archives: each one tar, compressed in parts. Anyone may read what is in them, and in the images.
chmod -R a+rX "$out"
find "$root" -exec touch -h -d "$date" {} +
members() { tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -b 1 --no-recursion -c -T - ; }
# part FILE PATTERN OPTION..: the members whose names fit, without the two empty blocks with which a tar ends; nothing
# where there are none.
part() {
    local to=$1 pattern=$2
    shift 2
    grep -E "$pattern" "$work/files" >"$to.names" || true
    if [ -s "$to.names" ]; then members <"$to.names" | head -c -1024 | xz "$@" >"$to"; else : >"$to"; fi
}
# pack FILE: the members that are named to it.
pack() {
    local to=$1
    cat >"$work/files"
    # x86 code, words of 8 bytes, and all else: what suits the one wastes room for the other.
    part "$work/code.xz" '\.so(\.[0-9]+)?$' --x86 --lzma2=preset=9,dict=128MiB,nice=273 &
    local other=$!
    part "$work/words.xz" '\.aot$' --lzma2=preset=9,dict=64MiB,lc=0,lp=3,pb=3
    grep -vE '\.(so(\.[0-9]+)?|aot)$' "$work/files" | members | xz --lzma2=preset=9,dict=64MiB,lc=4,pb=0 >"$work/rest.xz"
    wait "$other"
    cat "$work/code.xz" "$work/words.xz" "$work/rest.xz" >"$to"
}
# The samples of the largest example go with the check, whose goldens need them; without them the demo leaves that
# example out.
samples="^$name/examples/ocr-orientation/.*\\.npz\$"
(cd "$out" && find "$name" | sort) >"$work/all"
grep -vE "^$name/check(/|\$)|$samples" "$work/all" | pack "target/$name-linux-x86_64.tar.xz"
grep -E "^$name/check(/|\$)|$samples" "$work/all" | pack "target/$name-linux-x86_64-check.tar.xz"
for archive in "target/$name-linux-x86_64.tar.xz" "target/$name-linux-x86_64-check.tar.xz"; do
    echo "$archive: $(stat -c %s "$archive") bytes"
done
