#!/bin/sh
# Does a built library export exactly the functions of the header?
#
#   tests/abi/symbols.sh libkith.so ... libkith.a
#
# Compares the symbols that each library offers with tests/abi/symbols.txt, which tests/header.rs holds equal to include/kith.h.
# A shared library is asked for its dynamic symbols. A static one for its global symbols: in a link of several Rust libraries every
# other global one could clash.
set -u
list=$(dirname "$0")/symbols.txt
[ $# -gt 0 ] || { echo "usage: $0 LIBRARY..." >&2; exit 2; }
failed=0
for library in "$@"; do
    case $library in
    *.a) options="-g --defined-only" ;;
    *) options="-D --defined-only" ;;
    esac
    # shellcheck disable=SC2086
    listed=$(nm $options "$library") || { echo "$library: nm failed"; failed=1; continue; }
    found=$(printf '%s\n' "$listed" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort)
    if difference=$(printf '%s\n' "$found" | LC_ALL=C diff "$list" -); then
        echo "$library: exactly the $(wc -l < "$list") functions of the header"
    else
        echo "$library: its symbols (>) are not those of the header (<):"
        printf '%s\n' "$difference" | sed 20q
        failed=1
    fi
done
exit $failed
