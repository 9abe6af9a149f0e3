#!/bin/sh
# Was the shipped library really optimised as one piece? Cargo drops `lto = "fat"` without a word when the rlib is built along.
. "$(dirname "$0")/common.sh"

raw=$cargo_target/release/libkith.a
[ -e "$raw" ] || fail "$raw is missing"

# With fat LTO std, rayon and the rest are merged into kith's own object; without, each keeps objects of its own.
ar t "$raw" | grep -E '^(std|core|alloc|rayon_core|parking_lot_core|crossbeam_epoch)-' >"$scratch/others" || true
[ ! -s "$scratch/others" ] || { head -n 5 "$scratch/others"; fail "$(wc -l <"$scratch/others") objects of other crates in $raw: not fat LTO"; }
ours=$(ar t "$raw" | grep -c '^kith\.')
[ "$ours" = 1 ] || fail "kith is $ours objects in $raw, not one"
ok "one object holds kith and all crates"

# That this check can fail is shown by a build as it would be with the rlib along: the same command with LTO off (and
# without optimising, which changes nothing about the objects and takes half the time). Kept between runs.
quiet env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 "$CARGO" rustc --manifest-path "$source/Cargo.toml" --locked --release --lib \
    --crate-type staticlib --target-dir "$scratch-cargo"
ar t "$scratch-cargo/release/libkith.a" | grep -qE '^(std|rayon_core)-' || fail "a build without LTO is not told apart: repair this check"
ok "a build without LTO is told apart"
