#!/bin/sh
# hnswlib's interface under ThreadSanitizer, library and headers both: sh tests/sanitize_cpp.sh
# What the head of sanitize.sh says of the library holds here, too. The runtime is that of g++; the few entries that it lacks and
# rustc's instrumentation calls are made up from memcpy and its like, which the runtime watches.
set -eu
cd "$(dirname "$0")/.."
command -v g++ >/dev/null || { echo "skipped: no g++"; exit 0; }
host=$(rustc -vV | sed -n 's/^host: //p')
target=$PWD/${CARGO_TARGET_DIR:-target}/thread-sanitizer
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg kith_tsan --cfg crossbeam_sanitize_thread"
"${CARGO:-cargo}" +nightly rustc --locked --profile trial --lib --crate-type cdylib --target "$host" --target-dir "$target"
scratch=$target/cpp
mkdir -p "$scratch"
cp "$target/$host/trial/libkith.so" "$scratch/libkith.so"
soname=$(readelf -d "$scratch/libkith.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
ln -sf libkith.so "$scratch/$soname"
cat >"$scratch/entries.c" <<'EOF'
#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t bytes) { return memcpy(to, from, bytes); }
void *__tsan_memmove(void *to, const void *from, size_t bytes) { return memmove(to, from, bytes); }
void *__tsan_memset(void *to, int value, size_t bytes) { return memset(to, value, bytes); }
EOF
gcc -O1 -fno-builtin -c "$scratch/entries.c" -o "$scratch/entries.o"
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp history_size=4 ${TSAN_OPTIONS:-}" KITH_CPU=portable
for name in concurrent misuse; do
    g++ -std=c++11 -O1 -g -fsanitize=thread -Iinclude -Iinclude/compat "tests/compat/$name.cpp" "$scratch/entries.o" \
        -L"$scratch" -lkith -lpthread -Wl,-rpath,"$scratch" -Wl,--export-dynamic -o "$scratch/$name"
    (cd "$scratch" && "./$name" "$OLDPWD/tests/fixtures/foreign")
done
