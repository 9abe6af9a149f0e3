#!/bin/sh
# The stress program, or the library's own tests, under ThreadSanitizer or AddressSanitizer:
#   sh tests/sanitize.sh thread|address [stress|lib] [test name]...
# Needs a nightly toolchain (`rustup toolchain install nightly`). Std itself is not instrumented;
# what is reported wrongly for that reason stands in tests/tsan.supp. Further:
# - ThreadSanitizer does not understand fences. With --cfg kith_tsan a row is read by acquire loads instead of relaxed loads and one
#   fence (src/graph/row.rs); the fence itself is proved by the models of tests/loom.
# - rayon's threads wait by locks of std, so with --cfg kith_tsan batches of the stress program use one thread each. Their
#   insertions run beside those of the other threads all the same. Of the library's own tests those that build with more threads are
#   reported wrongly; name others.
# - It does not see loads of 32 bytes and more, so vectors are read by the portable kernels.
# With the release of a link made relaxed on purpose (row.rs) it reports races on vectors at once.
# ADD_ARGS="--no-run" builds only.
set -eu
cd "$(dirname "$0")/.."
sanitizer=${1:?thread or address}
shift
what="--test stress"
case "${1:-}" in
    stress) shift ;;
    lib) what=--lib && shift ;;
esac
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Zsanitizer=$sanitizer -Cunsafe-allow-abi-mismatch=sanitizer"
if [ "$sanitizer" = thread ]; then
    flags="$flags --cfg kith_tsan --cfg crossbeam_sanitize_thread"
    export KITH_CPU=portable
fi
export RUSTFLAGS="$flags" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/$sanitizer-sanitizer"
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp history_size=4 ${TSAN_OPTIONS:-}" ASAN_OPTIONS="allocator_may_return_null=1 ${ASAN_OPTIONS:-}"
# shellcheck disable=SC2086 # two words each, or none
"${CARGO:-cargo}" +nightly test --locked --profile trial --target "$host" --features test-hooks $what ${ADD_ARGS:-} -- --nocapture \
    --test-threads=1 "$@"
