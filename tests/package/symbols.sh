#!/bin/sh
# Are the functions that the libraries offer exactly those of the header, and does the shared one carry the right name?
. "$(dirname "$0")/common.sh"

sh "$source/tests/abi/symbols.sh" "$built/libkith.so" "$built/libkith.a" || fail "a library offers other functions than the header"

soname=$(readelf -d "$built/libkith.so" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
case $version in 0.*) wanted=libkith.so.0.$minor ;; *) wanted=libkith.so.${version%%.*} ;; esac
[ "$soname" = "$wanted" ] || fail "soname is $soname, not $wanted"
[ "$(cd "$built" && readlink libkith.so)" = "$wanted" ] || fail "libkith.so is not a link to $wanted"
ok "soname $soname"

# A vector kernel that was not inlined into its loop would run 70 times slower, silently.
if nm -C "$cargo_target"/release/libkith.so 2>/dev/null | grep ' [tT] .*core::core_arch'; then
    fail "vector instructions left as calls (above)"
fi
ok "no vector instruction is a call"
if readelf -S "$built/libkith.so" "$built/libkith.a" | grep -E '\.debug_info|\.llvmbc'; then fail "debug information or bitcode is left"; fi
ok "no debug information, no bitcode"
