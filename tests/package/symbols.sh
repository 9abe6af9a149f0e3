#!/bin/sh
# Are the functions that the libraries offer exactly those of the header, and does the shared one carry the right name?
. "$(dirname "$0")/common.sh"

# tests/header.rs holds this list equal to include/kith.h.
list=$source/tests/abi/symbols.txt

# $1 library, $2 its list
same() {
    diff "$list" "$2" || fail "$1 offers other symbols than the header (< header only, > library only)"
    ok "$1: exactly the $(wc -l <"$2" | tr -d ' ') functions of the header"
}
nm -D --defined-only "$built/libkith.so" | sed 's/.* //' | LC_ALL=C sort >"$scratch/shared"
same libkith.so "$scratch/shared"
nm -g --defined-only "$built/libkith.a" | sed -n 's/^[0-9a-f]\{8,\} . //p' | LC_ALL=C sort >"$scratch/static"
same libkith.a "$scratch/static"

soname=$(readelf -d "$built/libkith.so" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
case $version in 0.*) wanted=libkith.so.0.$minor ;; *) wanted=libkith.so.${version%%.*} ;; esac
[ "$soname" = "$wanted" ] || fail "soname is $soname, not $wanted"
[ "$(cd "$built" && readlink libkith.so)" = "$wanted" ] || fail "libkith.so is not a link to $wanted"
ok "soname $soname"

# A vector instruction that was not inlined into its loop makes it run 70 times slower, silently. (Finding out what the processor
# has is no vector instruction.)
nm -C "$cargo_target/release/libkith.so" >"$scratch/names"
grep -q ' [tT] kith::' "$scratch/names" || fail "the unstripped library has no names of kith: is this check still right?"
if grep ' [tT] .*core::core_arch' "$scratch/names" | grep -vE '::(_xgetbv|__cpuid(_count)?)$'; then
    fail "vector instructions left as calls (above)"
fi
ok "no vector instruction is a call"
if readelf -S "$built/libkith.so" "$built/libkith.a" | grep -E '\.debug_info|\.llvmbc'; then fail "debug information or bitcode is left"; fi
ok "no debug information, no bitcode"
