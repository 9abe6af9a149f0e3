#!/bin/sh
# Does a query cost more than is recorded? Fails where distances or instructions per query have grown by more than 3 %, or recall has
# fallen by more than 0.002, since benches/record/work.txt was written.
#
#   work.sh SOURCE LIBRARY HOOKS SCRATCH
#
# Distances are those of walks, by codes where there are any; ranking what they find shows in the instructions.
#
# LIBRARY: libkith.so as it ships, whose instructions are counted; HOOKS: where it lies with the feature test-hooks, which counts
# distances (made here if it is missing). KITH_BLESS=1 writes the record anew: see what changes before it is committed.
#
# Nothing here is a time, so it means the same on a busy machine or a slow one. Instructions are valgrind's, of kith_search() alone
# at the default breadth under KITH_CPU=avx2 (valgrind knows no AVX-512); they depend on the compiler, so with another rustc than the record's they are shown
# and not judged. Without valgrind they are left out. Skipped (77) where there is no AVX2: the graph's rounding would be another.
set -eu

source=$(cd "$1" && pwd)
library=$(cd "$2" && pwd)
hooks=$3
mkdir -p "$4"
scratch=$(cd "$4" && pwd)
record=$source/benches/record/work.txt
: "${CC:=cc}" "${RUSTC:=rustc}"
compiler=$("$RUSTC" -V | cut -d ' ' -f 1,2)

grep -qw avx2 /proc/cpuinfo || { echo "skipped: no AVX2"; exit 77; }
[ -e "$hooks/lib/libkith.so" ] && [ "$hooks/lib/libkith.so" -nt "$library/libkith.so" ] ||
    KITH_CARGO_FLAGS="${KITH_CARGO_FLAGS:-} --features test-hooks" sh "$source/cmake/build-library.sh" "$source" "$hooks/cargo" "$hooks/lib"

"$CC" -std=c99 -O1 -I "$source/include" -o "$scratch/work" "$source/benches/work/work.c" -L "$library" -lkith -ldl -lm
export KITH_CPU=avx2
data=$source/c_examples/data
LD_LIBRARY_PATH=$hooks/lib "$scratch/work" "$data" count >"$scratch/counts"

instructions() { # $1 set, $2 ef
    command -v valgrind >/dev/null || { echo -; return; }
    LD_LIBRARY_PATH=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null --instr-atstart=no \
        --collect-atstart=no --toggle-collect=kith_search "$scratch/work" "$data" search "$1" "$2" 2>"$scratch/valgrind.log" ||
        { cat "$scratch/valgrind.log" >&2; exit 1; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/valgrind.log" | awk '{ if ($1 > 0) printf "%.0f\n", $1 / 200; else print "-" }' # 0: no header of valgrind's
}
{
    echo "# work per query, written by \`make work KITH_BLESS=1\`: set, ef, recall@10, distances, instructions ($compiler)"
    while read -r set ef recall distances; do
        case "$set $ef" in "floats 64" | "bytes 64") count=$(instructions "$set" "$ef") ;; *) count=- ;; esac
        echo "$set $ef $recall $distances $count"
    done <"$scratch/counts"
} >"$scratch/now"
command -v valgrind >/dev/null || echo "instructions are not counted: no valgrind (apt-get install valgrind)"

if [ "${KITH_BLESS:-}" = 1 ]; then
    cp "$scratch/now" "$record"
    cat "$record"
    exit 0
fi
awk -v compiler="$compiler" '
    function judged(what, was, is, limit) {
        if (was == "-" || is == "-") return
        ratio = is / was
        text = sprintf("%s ef %s: %s %s, recorded %s (%.3f)", $1, $2, what, is, was, ratio)
        if (ratio > limit) { print "FAILED: " text; failed = 1 } else print "ok: " text
        if (ratio < 0.97) better = 1
    }
    FNR == 1 { if (NR == FNR) same = index($0, "(" compiler ")"); next }
    NR == FNR { recall[$1, $2] = $3; distances[$1, $2] = $4; instructions[$1, $2] = $5; next }
    !(($1, $2) in recall) { print "FAILED: " $1 " ef " $2 " is not in the record"; failed = 1; next }
    {
        seen++
        judged("distances", distances[$1, $2], $4, 1.03)
        judged("instructions", instructions[$1, $2], $5, same ? 1.03 : 1e9)
        if ($3 < recall[$1, $2] - 0.002) { print "FAILED: " $1 " ef " $2 ": recall " $3 ", recorded " recall[$1, $2]; failed = 1 }
    }
    END {
        if (!seen) { print "FAILED: nothing was counted"; failed = 1 }
        if (!same) print "instructions are not judged: the record is of another compiler than " compiler
        if (better) print "better than recorded: make work KITH_BLESS=1, and commit the record"
        exit failed
    }' "$record" "$scratch/now"
