#!/bin/sh
# Does libkith.a link beside another Rust static library, in both orders, and are panics inside either still caught?
. "$(dirname "$0")/common.sh"

: "${RUSTC:=rustc}"

# The other library: its own copy of std, a panic caught inside, an allocation, a thread.
cat >"$scratch/other.rs" <<'RUST'
use std::panic::catch_unwind;

#[unsafe(no_mangle)]
pub extern "C" fn other_catches(divisor: i32) -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    catch_unwind(|| if divisor == 0 { panic!("no divisor") } else { 100 / divisor }).unwrap_or(-1)
}

#[unsafe(no_mangle)]
pub extern "C" fn other_threads() -> i32 {
    (0..4).map(|i| std::thread::spawn(move || vec![i; 1000].into_iter().sum::<i32>())).map(|t| t.join().unwrap_or(-1)).sum()
}
RUST
cat >"$scratch/main.c" <<'C'
#include <kith.h>
#include <stdio.h>
#include <string.h>

int other_catches(int divisor);
int other_threads(void);

static int stop(void *ctx, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    ++*(int *)ctx;
    return 0;
}

int main(void) {
    kith_options options = {.size = sizeof options, .dimensions = 2, .metric = KITH_L2};
    kith_index *index = NULL;
    int calls = 0;
    kith_build_options build = {.size = sizeof build, .threads = 2, .progress = stop, .progress_ctx = &calls};
    static float points[2000][2];
    static uint64_t keys[2000];
    const float query[2] = {0.9f, 0};
    uint64_t key = 0;
    size_t found = 0;
    int i;
    for (i = 0; i < 2000; i++) {
        keys[i] = (uint64_t)i;
        points[i][0] = (float)i;
    }
    if (other_catches(0) != -1 || other_catches(5) != 20 || other_threads() != 6000) return 1;
    if (kith_create(&options, &index) || kith_insert_batch(index, 2000, keys, points, 0, &build)) return 2;
    if (kith_search(index, query, 1, NULL, &key, NULL, &found) || found != 1 || key != 1) return 3;
    if (kith_insert(index, 1, query) != KITH_ERROR_EXISTS || strstr(kith_last_error(), "kith_insert") == NULL) return 4;
    kith_free(index);
    if (other_catches(0) != -1) return 5;
    puts("fine");
    return 0;
}
C
quiet "$RUSTC" --edition 2024 -O --crate-type staticlib -o "$scratch/libother.a" "$scratch/other.rs"

for order in "$built/libkith.a $scratch/libother.a" "$scratch/libother.a $built/libkith.a"; do
    # shellcheck disable=SC2086 # a list of words
    quiet "$CC" -std=c99 -I "$source/include" -o "$scratch/main" "$scratch/main.c" $order -lpthread -ldl -lm
    quiet "$scratch/main"
    ok "linked and ran: ${order##*/} last"
done
quiet "$CC" -std=c99 -I "$source/include" -o "$scratch/main" "$scratch/main.c" -Wl,--whole-archive "$built/libkith.a" \
    -Wl,--no-whole-archive "$scratch/libother.a" -lpthread -ldl -lm
quiet "$scratch/main"
ok "linked and ran: the whole of libkith.a"
exported=$(nm -D --defined-only "$scratch/main" | grep -c kith_ || true)
[ "$exported" = 0 ] || fail "the program exports $exported kith functions"
ok "the program exports nothing of kith"

# A defect inside kith beside the other library (tests/abi/hooks/run.sh, which makes this library, has it alone).
hooks=$KITH_HOOKS/lib
quiet env KITH_CARGO_FLAGS="${KITH_CARGO_FLAGS:-} --features test-hooks" \
    sh "$source/cmake/build-library.sh" "$source" "$KITH_HOOKS/cargo" "$hooks"
for libraries in "$hooks/libkith.a $scratch/libother.a" "$scratch/libother.a $hooks/libkith.a"; do
    # shellcheck disable=SC2086 # a list of words
    quiet "$CC" -std=c99 -I "$source/include" -o "$scratch/panic" "$source/tests/abi/hooks/panic.c" \
        -Wl,-u,other_catches $libraries -lpthread -ldl -lm
    quiet "$scratch/panic"
    ok "a panic inside kith is caught: ${libraries##*/} last"
done
