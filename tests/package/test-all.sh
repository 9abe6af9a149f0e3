#!/bin/sh
# `make test`: the Rust tests, then every C and C++ program and the package checks through CMake and ctest.
# Fetches what it lacks where it may (cmake/require.sh); says at the end what passed.
set -eu
cd "$(dirname "$0")/../.."

: "${CARGO:=cargo}" "${CC:=cc}"
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

export CARGO CC
unset MAKEFLAGS MFLAGS MAKELEVEL # what `make test` was called with is not for the makefiles of CMake
sh cmake/require.sh cargo cc c++ cmake pkg-config
sh cmake/require.sh valgrind || true # bench.work says so where it has to leave out the instructions

result=0
step() {
    name=$1
    shift
    echo
    echo "== $name"
    if "$@"; then summary="$summary
  passed  $name"; else summary="$summary
  FAILED  $name"; result=1; fi
}
summary=

build() {
    cmake -S . -B "$target/ctest" -DCMAKE_C_COMPILER="$CC" -DCMAKE_BUILD_TYPE=Release -DKITH_CARGO_TARGET_DIR="$target/ship" >"$target/ctest.log" 2>&1 ||
        { cat "$target/ctest.log"; return 1; }
    cmake --build "$target/ctest" -j 2
}

mkdir -p "$target"
step "Rust tests" "$CARGO" test --locked --no-fail-fast
step "Build of the library, the C and C++ programs and the examples" build
step "C and C++ programs, examples, package checks" ctest --test-dir "$target/ctest" --output-on-failure --no-tests=error

echo
echo "== make test$summary"
exit $result
