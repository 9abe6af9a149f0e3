#!/bin/sh
# Builds the library with profile feedback: OUT/libkith.so and OUT/libkith.a, laid out by what benches/pgo/train.c was seen doing.
#
#   pgo.sh SOURCE WORK OUT
#
# Three steps: an instrumented library, the training program linked to it, the library again with the profile. Each of the two builds is
# cmake/build-library.sh's, with LTO and everything. Takes about six minutes of processor time.
# Environment: CARGO, CC, RUSTC, LLVM_PROFDATA, and what build-library.sh reads. RUSTFLAGS are kept.
set -eu

: "${CARGO:=cargo}" "${CC:=cc}" "${RUSTC:=rustc}"

source=$(cd "$1" && pwd)
mkdir -p "$2" "$3"
work=$(cd "$2" && pwd)
out=$(cd "$3" && pwd)
flags=${RUSTFLAGS:-}

# With a target named, the flags are for the library alone and not for build scripts, which would write profiles of their own.
CARGO_BUILD_TARGET=${CARGO_BUILD_TARGET:-$("$RUSTC" -vV | sed -n 's/^host: //p')}
export CARGO CC CARGO_BUILD_TARGET

# The profile's format is LLVM's: a tool that is older than rustc's LLVM refuses it, so each that is there is tried, newest first.
profdata_tools() {
    [ -z "${LLVM_PROFDATA:-}" ] || { echo "$LLVM_PROFDATA"; return; }
    ls "$("$RUSTC" --print sysroot)"/lib/rustlib/*/bin/llvm-profdata 2>/dev/null || true
    for version in 30 29 28 27 26 25 24 23 22 21 20 19; do command -v "llvm-profdata-$version" || true; done
    command -v llvm-profdata || true
}
[ -n "$(profdata_tools)" ] || {
    echo "make pgo needs llvm-profdata. Type: rustup component add llvm-tools (or, on Debian: apt-get install llvm-19)" >&2
    exit 1
}
merge() {
    for tool in $(profdata_tools); do
        if "$tool" merge -o "$work/kith.profdata" "$work"/raw/*.profraw 2>"$work/merge.log"; then
            echo "pgo: merged by $tool" >&2
            return
        fi
    done
    cat "$work/merge.log" >&2
    echo "no llvm-profdata here reads what rustc writes. Type: rustup component add llvm-tools (or, on Debian: apt-get install llvm-19)" >&2
    exit 1
}

echo "pgo: 1 of 3, the instrumented library" >&2
rm -rf "$work/raw"
# The crate types are build-library.sh's, though only one is needed: they are part of every mangled name, and with other names nothing of
# the profile fits, without a word.
RUSTFLAGS="$flags -Cprofile-generate=$work/raw" "$CARGO" rustc --manifest-path "$source/Cargo.toml" --locked --release --lib \
    --crate-type cdylib,staticlib --target-dir "$work/instrumented"

echo "pgo: 2 of 3, the training" >&2
built=$work/instrumented/$CARGO_BUILD_TARGET/release
"$CC" -std=c99 -O1 -I "$source/include" -o "$work/train" "$source/benches/pgo/train.c" -L "$built" -lkith -lm
# The soname names a file that cargo does not make.
soname=$(readelf -d "$built/libkith.so" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
ln -sf libkith.so "$built/$soname"
LD_LIBRARY_PATH=$built LLVM_PROFILE_FILE=$work/raw/%p-%m.profraw "$work/train" "$source/c_examples/data" "$work/train.kith"
merge

echo "pgo: 3 of 3, the library with the profile" >&2
RUSTFLAGS="$flags -Cprofile-use=$work/kith.profdata" sh "$source/cmake/build-library.sh" "$source" "$work/profiled" "$out"
names() { nm "$1/$CARGO_BUILD_TARGET/release/libkith.so" | grep -o '_ZN4kith.*' | LC_ALL=C sort; }
names "$work/instrumented" >"$work/names.instrumented"
names "$work/profiled" >"$work/names.profiled"
shared=$(LC_ALL=C comm -12 "$work/names.instrumented" "$work/names.profiled" | wc -l)
[ "$((shared * 2))" -gt "$(wc -l <"$work/names.profiled")" ] || {
    echo "the two builds name functions differently ($shared in common), so the profile was not used" >&2
    exit 1
}
echo "pgo: $out/libkith.so and libkith.a" >&2
