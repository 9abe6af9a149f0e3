#!/bin/sh
# The C stress program, and hnswlib's interface, under ThreadSanitizer or AddressSanitizer, library and programs both:
#   sh tests/sanitize_cpp.sh [thread|address]
# What the head of sanitize.sh says of the library holds here, too. The runtime is that of gcc; the few entries that it lacks and
# rustc's instrumentation calls are made up from memcpy and its like, which the runtime watches.
set -eu
cd "$(dirname "$0")/.."
sanitizer=${1:-thread}
command -v g++ >/dev/null || { echo "skipped: no g++"; exit 0; }
host=$(rustc -vV | sed -n 's/^host: //p')
target=$PWD/${CARGO_TARGET_DIR:-target}/$sanitizer-sanitizer
export RUSTFLAGS="-Zsanitizer=$sanitizer -Cunsafe-allow-abi-mismatch=sanitizer"
if [ "$sanitizer" = thread ]; then
    RUSTFLAGS="$RUSTFLAGS --cfg kith_tsan --cfg crossbeam_sanitize_thread"
    export KITH_CPU=portable
fi
"${CARGO:-cargo}" +nightly rustc --locked --profile trial --lib --crate-type cdylib --target "$host" --target-dir "$target"
scratch=$target/cpp
mkdir -p "$scratch"
cp "$target/$host/trial/libkith.so" "$scratch/libkith.so"
soname=$(readelf -d "$scratch/libkith.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
ln -sf libkith.so "$scratch/$soname"
: >"$scratch/entries.c"
if [ "$sanitizer" = thread ]; then
    cat >"$scratch/entries.c" <<'EOF'
#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t bytes) { return memcpy(to, from, bytes); }
void *__tsan_memmove(void *to, const void *from, size_t bytes) { return memmove(to, from, bytes); }
void *__tsan_memset(void *to, int value, size_t bytes) { return memset(to, value, bytes); }
EOF
fi
gcc -O1 -fno-builtin -c "$scratch/entries.c" -o "$scratch/entries.o"
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp history_size=4 ${TSAN_OPTIONS:-}" ASAN_OPTIONS="allocator_may_return_null=1 ${ASAN_OPTIONS:-}"
# $1 compiler and standard, $2 source, then arguments: builds and runs a program.
under() {
    name=$(basename "$2")
    # shellcheck disable=SC2086 # several words
    $1 -O1 -g "-fsanitize=$sanitizer" -Iinclude -Iinclude/compat "$2" "$scratch/entries.o" -L"$scratch" -lkith -lpthread -lm \
        -Wl,-rpath,"$scratch" -Wl,--export-dynamic -o "$scratch/$name.program"
    shift 2
    echo "$name under the $sanitizer sanitizer"
    (cd "$scratch" && "./$name.program" "$@")
}
# One thread for each batch: what that head says of rayon.
if [ "$sanitizer" = thread ]; then batches=1; else batches=2; fi
under "gcc -std=c99 -DBATCH_THREADS=$batches" tests/c/stress.c
for name in concurrent misuse; do
    under "g++ -std=c++11" "tests/compat/$name.cpp" "$PWD/tests/fixtures/foreign"
done
