#!/bin/sh
# Do clients compiled against the headers of earlier versions run with this library?
#
#   tests/abi/old/run.sh DIRECTORY-OF-LIBKITH.SO [SCRATCH]
#
# See the README beside this file.
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: $0 DIRECTORY-OF-LIBKITH.SO [SCRATCH]" >&2; exit 2; }
libraries=$(cd "$1" && pwd) || exit 2
scratch=${2:-$(mktemp -d)}
mkdir -p "$scratch" || exit 2
failed=0
for folder in "$here"/[0-9]*/; do
    version=$(basename "$folder")
    client=$scratch/client-$version
    if ! ${CC:-cc} -std=c99 -Wall -Wextra -Werror -I "$folder" "$folder/client.c" -L "$libraries" -lkith -o "$client"; then
        echo "client of $version: does not compile or link"
        failed=1
    elif (cd "$scratch" && LD_LIBRARY_PATH=$libraries "$client"); then
        echo "client of $version: runs with $libraries/libkith.so"
    else
        echo "client of $version: failed with $libraries/libkith.so"
        failed=1
    fi
done
exit $failed
