#!/bin/sh
# require.sh TOOL...: is it there? Else fetch it where that is allowed (Debian, as root), or print the one line to type.
# Tools: cargo cc c++ cmake pkg-config clang
set -eu

: "${CARGO:=cargo}" "${CC:=cc}"

command_of() {
    case $1 in cargo) echo "$CARGO" ;; cc) echo "$CC" ;; *) echo "$1" ;; esac
}

package_of() {
    case $1 in cc) echo gcc libc6-dev ;; c++) echo g++ ;; *) echo "$1" ;; esac
}

missing=
for tool in "$@"; do
    # shellcheck disable=SC2046 # CC may be "gcc -m64": the first word is the command
    set -- $(command_of "$tool")
    command -v "$1" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

packages=
for tool in $missing; do
    if [ "$tool" = cargo ]; then
        echo "kith is written in Rust and needs cargo (1.95 or newer), which is not in PATH. Type:" >&2
        echo "  curl -sSf https://sh.rustup.rs | sh -s -- -y --profile default && . \"\$HOME/.cargo/env\"" >&2
        exit 1
    fi
    if [ "$tool" = cc ] && [ "$CC" != cc ]; then
        echo "the C compiler CC=$CC is not in PATH" >&2
        exit 1
    fi
    packages="$packages $(package_of "$tool")"
done

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "require: installing$packages" >&2
        # shellcheck disable=SC2086 # a list of words
        if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >&2; then
            exit 0
        fi
    fi
    echo "missing:$missing. Type:" >&2
    echo "  sudo apt-get install -y$packages" >&2
else
    echo "missing:$missing. Install them with your system's package manager (Debian calls the packages:$packages)." >&2
fi
exit 1
