#!/bin/sh
# Puts the built files under a prefix (or takes them away), without CMake:
#
#   install-tree.sh install|uninstall SOURCE BUILT
#
# BUILT is what build-library.sh filled. Environment: PREFIX (default /usr/local), DESTDIR (put before PREFIX; for packagers),
# LIBDIR and INCLUDEDIR (relative to PREFIX; default lib and include), CC. `cmake --install` makes the same tree;
# tests/package/roundtrip.sh compares the two.
set -eu

action=$1
source=$2
built=$3

: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${LIBDIR:=lib}" "${INCLUDEDIR:=include}" "${CC:=cc}"

fail() { echo "install-tree: $*" >&2; exit 1; }

case $PREFIX in /*) ;; *) fail "PREFIX=$PREFIX must be an absolute path" ;; esac
LIBDIR=${LIBDIR#"$PREFIX"/}
INCLUDEDIR=${INCLUDEDIR#"$PREFIX"/}
case $LIBDIR$INCLUDEDIR in /*) fail "LIBDIR and INCLUDEDIR must lie under PREFIX=$PREFIX" ;; esac

version=$(sed -n 's/^version *= *"\(.*\)".*/\1/p' "$source/Cargo.toml" | head -n 1)
lib=$DESTDIR$PREFIX/$LIBDIR
include=$DESTDIR$PREFIX/$INCLUDEDIR

# "../" once for every directory in $1
climb() { echo "$1" | sed 's|//*|/|g; s|/$||; s|[^/][^/]*|..|g'; }

# Where each header is, and where it goes: those of other libraries' interfaces below kith, where nobody finds them by chance.
headers() {
    (cd "$source/include" && find . -type f \( -name '*.h' -o -name '*.hpp' \)) | sed 's|^\./||' |
        sed 's|^compat/\(.*\)|compat/\1 kith/compat/\1|; /^compat/!s|.*|& &|'
}

uninstall() {
    rm -f "$lib"/libkith.* "$lib/pkgconfig/kith.pc" "$lib/pkgconfig/kith-hnswlib.pc"
    rm -f "$lib"/cmake/kith/kith-config.cmake "$lib"/cmake/kith/kith-config-version.cmake
    rm -f "$lib"/cmake/kith-hnswlib/hnswlibConfig.cmake "$lib"/cmake/kith-hnswlib/hnswlibConfigVersion.cmake
    for dir in kith kith-hnswlib; do [ ! -d "$lib/cmake/$dir" ] || rmdir "$lib/cmake/$dir"; done
    headers | while read -r from to; do rm -f "$include/$to"; done
    [ ! -d "$include/kith" ] || find "$include/kith" -depth -type d -exec rmdir {} \;
    echo "removed kith from $DESTDIR$PREFIX"
}

# $1 template, $2 result
configure() {
    sed -e "s|@KITH_VERSION@|$version|g" -e "s|@KITH_LIBDIR@|$LIBDIR|g" -e "s|@KITH_INCLUDEDIR@|$INCLUDEDIR|g" \
        -e "s|@KITH_PC_TO_PREFIX@|$(climb "$LIBDIR/pkgconfig")|g" -e "s|@KITH_CMAKE_TO_PREFIX@|$(climb "$LIBDIR/cmake/kith")|g" \
        -e "s|@KITH_SHARED_FILE@|$shared|g" -e "s|@KITH_SONAME@|$soname|g" -e "s|@KITH_NATIVE_LIBS@|$native|g" \
        -e "s|@KITH_POINTER_BYTES@|$pointer_bytes|g" "$1" >"$2"
    chmod 644 "$2"
}

install_all() {
    mkdir -p "$lib/pkgconfig" "$lib/cmake/kith" "$lib/cmake/kith-hnswlib" "$include"
    shared= soname=
    for file in "$built"/libkith.*; do
        name=${file##*/}
        rm -f "$lib/$name"
        if [ -h "$file" ]; then
            cp -P "$file" "$lib/$name"
            # of libkith.so -> libkith.so.0.1 -> libkith.so.0.1.0 the middle name is the soname
            case $name in libkith.so | libkith.dylib) soname=$(readlink "$file") ;; esac
        else
            cp "$file" "$lib/$name"
            case $name in *.a) chmod 644 "$lib/$name" ;; *) chmod 755 "$lib/$name"; shared=$name ;; esac
        fi
    done
    case $shared in *.dylib) native=-lm soname=@rpath/$soname ;; *) native="-lpthread -ldl -lm" ;; esac
    pointer_bytes=$(echo __SIZEOF_POINTER__ | "$CC" -E -P - | tail -n 1)

    headers | while read -r from to; do
        mkdir -p "$(dirname "$include/$to")"
        cp "$source/include/$from" "$include/$to"
        chmod 644 "$include/$to"
    done
    configure "$source/cmake/kith.pc.in" "$lib/pkgconfig/kith.pc"
    configure "$source/cmake/kith-hnswlib.pc.in" "$lib/pkgconfig/kith-hnswlib.pc"
    for file in hnswlibConfig.cmake hnswlibConfigVersion.cmake; do
        configure "$source/cmake/$file.in" "$lib/cmake/kith-hnswlib/$file"
    done
    configure "$source/cmake/kith-config.cmake.in" "$lib/cmake/kith/kith-config.cmake"
    configure "$source/cmake/kith-config-version.cmake.in" "$lib/cmake/kith/kith-config-version.cmake"
    echo "installed kith $version under $DESTDIR$PREFIX"
}

case $action in
install) install_all ;;
uninstall) uninstall ;;
*) fail "unknown action $action" ;;
esac
