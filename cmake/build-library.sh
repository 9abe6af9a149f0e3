#!/bin/sh
# Builds the files that C programs link: OUT/libkith.so.VERSION with its links, and OUT/libkith.a.
#
#   build-library.sh SOURCE CARGO_TARGET OUT
#
# Used by the Makefile and by CMakeLists.txt, so there is one recipe. Needs cargo, a C compiler and binutils.
# Environment: CARGO, LD, OBJCOPY, STRIP, AR, NM (the cross tools' names when CARGO_BUILD_TARGET is set),
# KITH_CARGO_FLAGS (more arguments for cargo, such as --offline), RUSTFLAGS as cargo reads it.
set -eu

source=$1
target=$2
out=$3

: "${CARGO:=cargo}" "${LD:=ld}" "${OBJCOPY:=objcopy}" "${STRIP:=strip}" "${AR:=ar}" "${NM:=nm}"

say() { echo "build-library: $*" >&2; }

version=$(sed -n 's/^version *= *"\(.*\)".*/\1/p' "$source/Cargo.toml" | head -n 1)
major=${version%%.*}
rest=${version#*.}
# The rule of build.rs: while 0.x every minor may break the ABI.
if [ "$major" = 0 ]; then abi=0.${rest%%.*}; else abi=$major; fi

# `cargo build` would drop fat LTO without a word because the package has an rlib as well: only this form keeps it.
# The directory is not shared with `cargo build`, whose libkith.so would lie under the same name.
# shellcheck disable=SC2086 # KITH_CARGO_FLAGS is a list of words
"$CARGO" rustc --manifest-path "$source/Cargo.toml" --locked --release --lib --crate-type cdylib,staticlib \
    --target-dir "$target" ${KITH_CARGO_FLAGS:-}

built=$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
mkdir -p "$out"

# True if $1 has to be made again from $2: a finished file keeps its time, so that nobody's program is linked anew for nothing.
stale() { [ ! -e "$1" ] || [ "$2" -nt "$1" ] || [ "$0" -nt "$1" ]; }

shared_elf() {
    file=$out/libkith.so.$version
    if stale "$file" "$built/libkith.so"; then
        # std's own line tables come along in the link: 2.7 MB become 0.4.
        "$STRIP" --strip-debug -o "$file.tmp" "$built/libkith.so"
        mv "$file.tmp" "$file"
    fi
    ln -sf "libkith.so.$version" "$out/libkith.so.$abi"
    ln -sf "libkith.so.$abi" "$out/libkith.so"
}

shared_macos() {
    file=$out/libkith.$version.dylib
    if stale "$file" "$built/libkith.dylib"; then
        cp "$built/libkith.dylib" "$file.tmp"
        "$STRIP" -S "$file.tmp"
        mv "$file.tmp" "$file"
    fi
    ln -sf "libkith.$version.dylib" "$out/libkith.$abi.dylib"
    ln -sf "libkith.$abi.dylib" "$out/libkith.dylib"
}

# One object with nothing global but the kith_* functions, so that the archive links beside another Rust static library:
# as rustc leaves it, both bring their own std and the link ends in duplicate definitions.
static_localised() {
    work=$out/localise.tmp
    rm -rf "$work"
    mkdir "$work"
    keep=$("$NM" -D --defined-only "$built/libkith.so" | sed -n 's/.* T \(kith_[a-z0-9_]*\)$/-u \1/p')
    [ -n "$keep" ] || { say "no kith_* function is exported by $built/libkith.so"; exit 1; }
    # --force-group-allocation: else the COMDAT DW.ref.rust_eh_personality is dropped in the program's link beside
    # another Rust library and the first panic jumps to address 0.
    # shellcheck disable=SC2086 # a list of words
    "$LD" -r --gc-sections --force-group-allocation $keep -o "$work/kith.o" "$built/libkith.a"
    # The bitcode sections make nm, ar and strip fail where an older LLVM's plugin is installed.
    "$OBJCOPY" --wildcard --keep-global-symbol='kith_*' -R .llvmbc -R .llvmcmd "$work/kith.o"
    "$OBJCOPY" --strip-debug "$work/kith.o"
    (cd "$work" && "$AR" rcsD libkith.a kith.o)
    mv "$work/libkith.a" "$out/libkith.a"
    rm -r "$work"
}

static_plain() {
    say "no GNU ld and objcopy: libkith.a stays as rustc made it (it will not link beside another Rust static library)"
    cp "$built/libkith.a" "$out/libkith.a.tmp"
    mv "$out/libkith.a.tmp" "$out/libkith.a"
}

if [ -e "$built/libkith.so" ]; then
    shared_elf
elif [ -e "$built/libkith.dylib" ]; then
    shared_macos
else
    say "no shared library in $built: this system is not supported yet"
    exit 1
fi

if stale "$out/libkith.a" "$built/libkith.a"; then
    if [ -e "$built/libkith.so" ] && "$LD" --version 2>/dev/null | grep -q 'GNU ld' && "$OBJCOPY" --version >/dev/null 2>&1; then
        static_localised
    else
        static_plain
    fi
fi
