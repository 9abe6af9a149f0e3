#!/bin/sh
# Does a defect inside kith stay inside, in the shared and in the static library as they are shipped?
#
#   tests/abi/hooks/run.sh SOURCE SCRATCH
#
# Builds both by the recipe of cmake/build-library.sh, with the feature test-hooks (in a cargo directory of its own, so that what is
# shipped can never carry the hook), and runs panic.c against each. The static one matters by itself: the recipe's `ld -r` step can
# break unwinding without a word.
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2"
scratch=$(cd "$2" && pwd)
KITH_CARGO_FLAGS="${KITH_CARGO_FLAGS:-} --features test-hooks" \
    sh "$source/cmake/build-library.sh" "$source" "$scratch/cargo" "$scratch/lib"
compile="${CC:-cc} -std=c99 -Wall -Wextra -pedantic -Werror -I $source/include $source/tests/abi/hooks/panic.c"
$compile -o "$scratch/panic.shared" -L "$scratch/lib" -lkith
$compile -o "$scratch/panic.static" "$scratch/lib/libkith.a" -lpthread -ldl -lm
LD_LIBRARY_PATH=$scratch/lib "$scratch/panic.shared"
"$scratch/panic.static"
