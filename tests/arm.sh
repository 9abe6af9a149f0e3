#!/bin/sh
# Does kith work on 64-bit Arm? Builds for it and runs the tests of kernels, graph and files and the unit tests under qemu.
# Usage: tests/arm.sh [cargo test options]   (from anywhere; Debian or Ubuntu: installs what it lacks when root)
# Correctness only: an emulator says nothing about speed.
set -eu
cd "$(dirname "$0")/.."

TARGET=aarch64-unknown-linux-gnu
packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

# The compiler: the active one if it has the target, else Debian's own.
has_target() { [ -n "$1" ] && [ -d "$("$1" --print target-libdir --target $TARGET 2>/dev/null)" ]; }
compiler=$(command -v rustc || true)
if ! has_target "$compiler"; then
    compiler=/usr/bin/rustc
    [ -x "$compiler" ] && has_target "$compiler" || packages="$packages rustc-web libstd-rust-web-dev:arm64"
fi

missing=
command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null && has_target "$compiler" || missing=yes
if [ -n "$missing" ]; then
    install="dpkg --add-architecture arm64 && apt-get update && apt-get install -y --no-install-recommends $packages"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/arm.sh: something is missing to build and run for Arm. On Debian, as root:" >&2
        echo "  $install" >&2
        exit 1
    fi
    DEBIAN_FRONTEND=noninteractive sh -c "$install"
fi

RUSTC=$compiler
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# The library path keeps one C library: beside an installed libc6:arm64 the cross package's loader would otherwise find
# that other version, and threads spin for ever when they start.
root=/usr/aarch64-linux-gnu
# The limit makes an absurd mapping fail as it does on a real machine; the emulator would spend the host's memory on it.
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="prlimit --as=8589934592 qemu-aarch64 -L $root -E LD_LIBRARY_PATH=$root/lib"
export RUSTC CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER

# A directory of its own: another compiler's artefacts would otherwise be rebuilt at each change of target.
echo "building with $("$RUSTC" --version) for $TARGET, running under $(qemu-aarch64 --version | head -n 1)"
# Left out: tests of the file system, which start their own binary again; the host cannot run that one.
echo "not run for Arm: persist::tests::target (needs a host that runs Arm binaries)"
skip="--skip persist::tests::target"
# And the tests of recall on large sets: minutes each in an emulator, for links that the same code chooses from the same distances.
for name in clusters_inserted duplicates_do_not_cut_off inner_product_with_uneven_norms; do
    echo "not run for Arm: $name... (too slow in an emulator)"
    skip="$skip --skip $name"
done
# shellcheck disable=SC2086 # a list of words
exec cargo test --locked --no-fail-fast --target $TARGET --target-dir target/arm \
    --lib --test kernels --test model --test graph --test persist_fixtures "$@" -- $skip
