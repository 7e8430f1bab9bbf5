#!/usr/bin/env bash
# build.sh VERSION [--jdk=JDK]: makes the distribution and its check from what 'mvn package' has left in target/:
#   target/rebias-VERSION-linux-x86_64.tar.xz        Java, rebias, its libraries, examples, licences
#   target/rebias-VERSION-linux-x86_64-check.tar.xz  what 'rebias gpu-check' needs besides: tests, JUnit's console, goldens
# Both unpack into one folder, rebias-VERSION. 'mvn -Pdist package' runs this.
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
for tool in xz tar unzip; do
    command -v "$tool" >/dev/null || { echo "dist: $tool is needed to pack the distribution" >&2; exit 1; }
done

name=rebias-$version
out=$PWD/target/dist
root=$out/$name
rm -rf "$out" target/rebias-*.tar.xz
mkdir -p "$root"/{bin,lib,native,licences} "$out/work"
work=$out/work
# Every file gets this time, so that the same sources make the same archive (and the AOT cache knows the jars again).
date=2026-01-01T00:00:00Z

# ---- the Java runtime. Reading images needs java.desktop, but nothing that draws, prints or plays; and nobody transforms XML. jlink wants every package
# to keep a class.
unused='java.desktop/(javax/swing|sun/swing|com/sun/java/swing|com/sun/swing|javax/sound|com/sun/media|javax/print|sun/print|sun/awt/X11|sun/java2d/(marlin|xr|opengl|x11))/|java.xml/com/sun/org/apache/(xalan|xpath|bcel)/'
"$jdk/bin/jimage" list "$jdk/lib/modules" |
    awk '/^Module:/ {module = $2} /^    / {print "/" module "/" $1}' |
    grep -E "^/($unused)" | sort | awk '{folder = $0; sub(/[^\/]*$/, "", folder)} folder == last {print} {last = folder}' >"$work/unused"
[ -s "$work/unused" ] || { echo "dist: the classes of '$jdk' cannot be listed" >&2; exit 1; }
"$jdk/bin/jlink" --add-modules java.base,java.desktop,java.logging,java.management,java.xml,jdk.unsupported,jdk.zipfs \
    --exclude-resources="@$work/unused" --strip-java-debug-attributes --no-header-files --no-man-pages --compress zip-0 --output "$root/runtime"
rm -f "$root"/runtime/lib/{libawt_xawt,libsplashscreen,libjsound,libjawt,libprefs,libfontmanager,libfreetype}.so "$root"/runtime/lib/{jexec,classlist,jrt-fs.jar,psfont*} "$root"/runtime/bin/{jrunscript,keytool,rmiregistry}

# ---- jars without native libraries (those lie in native/ as files), stored, for xz packs them better
repack() {
    local jar=$1 folder=$work/jar
    rm -rf "$folder" && mkdir "$folder"
    unzip -q -o "$jar" -d "$folder"
    mkdir -p "$work/native"
    # This platform's natives, wherever the jar keeps them.
    find "$folder" -type f \( -path '*/linux-x86_64/*.so*' -o -path '*/linux-x64/*.so' -o -path '*/linux-x86-64/*.so' -o -path '*/Linux/x86_64/*.so' -o -path '*/linux/amd64/*.so' \) -exec mv -t "$work/native" {} +
    find "$folder" -type f \( -name '*.so' -o -name '*.so.*' -o -name '*.dll' -o -name '*.dylib' -o -name '*.jnilib' -o -name '*.yml' -o -name '*.a' -o -name 'Info.plist' -o -path '*.dSYM/*' \) -delete
    licences "$jar" "$folder"
    # The presets' native side is all in native/ now; JavaCPP's jars for one platform are empty.
    case $(basename "$jar") in *-linux-x86_64.jar) return ;; esac
    find "$folder" -depth -type d -empty -delete
    # JavaCPP's presets of the parts of CUDA that rebias does not use.
    rm -rf "$folder"/org/bytedeco/cuda/{cufft,cufile,cupti,curand,cusolver,cusparse,nccl,npp*,nvml,nvcomp,nvjpeg} "$folder"/org/bytedeco/cuda/{global,presets}/{cufft,cufile,cupti,curand,cusolver,cusparse,nccl,npp,nvml,nvcomp,nvjpeg,nvToolsExt}*
    rm -rf "$folder"/META-INF/{native-image,proguard} "$folder"/META-INF/*.{SF,RSA,DSA} "$folder/ThirdPartyNotices.txt"
    (cd "$folder" && "$jdk/bin/jar" --create --file "$root/lib/$(basename "$jar")" --no-compress --no-manifest --date="$date" $(ls -A))
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
    repack "$jar"
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
rm -r "$work/jar/META-INF"
"$jdk/bin/jar" --create --file "$root/lib/rebias.jar" --manifest "$work/manifest" --no-compress --date="$date" -C "$work/jar" .

cp launcher/rebias launcher/start.sh "$root/bin/"
cp -r examples cuda-kernels "$root/"
cp LICENSE README.md "$root/"
cp -r docs "$root/docs"
cp -r packaging/licences/. "$root/licences/"

# ---- the AOT cache: classes read and linked, and profiles of the methods that a correction spends its time in
find "$root" -exec touch -h -d "$date" {} +
fashion=$root/examples/fashion
REBIAS_JAVA_OPTIONS="-XX:AOTCacheOutput=$work/classes.aot" "$root/bin/rebias" correct --float "$fashion/float.onnx" --quantized "$fashion/w3a8.onnx" \
    --samples "$fashion/calibration.npz" --limit 64 --device cpu --quiet --output "$work/corrected.onnx" >"$work/training" 2>&1 && [ -s "$work/classes.aot" ] ||
    { echo "dist: the training run of the AOT cache failed:" >&2; cat "$work/training" >&2; exit 1; }
mv "$work/classes.aot" "$root/"

# ---- the check: tests, JUnit's console, the models and goldens that they read, laid out as they look for them
check=$root/check
mkdir -p "$check/src/test/resources" "$check/lib"
"$jdk/bin/jar" --create --file "$check/lib/rebias-tests.jar" --no-compress --no-manifest --date="$date" -C target/test-classes dev
for jar in target/check-lib/*.jar; do
    rm -rf "$work/jar" && mkdir "$work/jar"
    unzip -q "$jar" -d "$work/jar"
    "$jdk/bin/jar" --create --file "$check/lib/$(basename "$jar")" --no-compress --no-manifest --date="$date" -C "$work/jar" .
done
cp -r src/test/resources/assets "$check/src/test/resources/"
ln -s ../examples "$check/examples"

# ---- the archives. One tar, compressed in two parts: x86 code, and all else. Both at once.
find "$root" -exec touch -h -d "$date" {} +
members() { tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -b 1 --no-recursion -c -T - ; }
pack() {
    local to=$1 code=$work/code rest=$work/rest
    shift
    (cd "$out" && find "$@" | sort) >"$work/files"
    grep -E '\.so(\.[0-9]+)?$' "$work/files" >"$code" || true
    grep -vE '\.so(\.[0-9]+)?$' "$work/files" >"$rest"
    # The end of the first part's tar, two empty blocks, would be the end of the whole.
    members <"$code" | head -c -1024 | xz --x86 --lzma2=preset=9,dict=128MiB >"$work/code.xz" &
    local other=$!
    members <"$rest" | xz --lzma2=preset=9,dict=128MiB,lc=4,pb=0 >"$work/rest.xz"
    wait "$other"
    cat "$work/code.xz" "$work/rest.xz" >"$to"
    [ -s "$code" ] || cp "$work/rest.xz" "$to"
}
mapfile -t parts < <(cd "$out" && find "$name" -mindepth 1 -maxdepth 1 ! -name check | sort)
pack "target/$name-linux-x86_64.tar.xz" "${parts[@]}"
pack "target/$name-linux-x86_64-check.tar.xz" "$name/check"
for archive in "target/$name-linux-x86_64.tar.xz" "target/$name-linux-x86_64-check.tar.xz"; do
    echo "$archive: $(stat -c %s "$archive") bytes"
done
