#!/bin/sh
# Does what is installed serve a program outside this repository? Installs by make and by CMake, compares the two trees, moves one,
# and builds a consumer against it in every documented way; then takes everything away again.
. "$(dirname "$0")/common.sh"

command -v "$CMAKE" >/dev/null || { echo "skipped: no cmake"; exit 77; }
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }

# --- install twice, the same tree
tree_by_make() {
    env PREFIX=/opt/kith DESTDIR="$scratch/by_make" CC="$CC" ${1:+LIBDIR="$1"} sh "$source/cmake/install-tree.sh" install "$source" "$built"
}
configure_cmake() { # $1 build directory, then options
    dir=$1
    shift
    "$CMAKE" -S "$source" -B "$dir" -DCMAKE_C_COMPILER="$CC" -DKITH_TESTS=OFF -DKITH_CARGO_TARGET_DIR="$cargo_target" "$@"
}
quiet tree_by_make
quiet configure_cmake "$scratch/cmake" -DCMAKE_INSTALL_PREFIX=/opt/kith -DCMAKE_INSTALL_LIBDIR=lib
quiet "$CMAKE" --build "$scratch/cmake"
quiet env DESTDIR="$scratch/by_cmake" "$CMAKE" --install "$scratch/cmake"
diff -r "$scratch/by_make" "$scratch/by_cmake" || fail "make install and cmake --install differ"
[ "$(cd "$scratch/by_make" && find . ! -type d -exec ls -ld {} + | awk '{print $1, $NF}' | sort)" = \
    "$(cd "$scratch/by_cmake" && find . ! -type d -exec ls -ld {} + | awk '{print $1, $NF}' | sort)" ] || fail "modes or links differ"
ok "make install and cmake --install make the same tree of $(find "$scratch/by_make" ! -type d | wc -l | tr -d ' ') files"
for file in lib/libkith.a lib/libkith.so lib/libkith.so."$version" include/kith.h lib/cmake/kith/kith-config.cmake lib/pkgconfig/kith.pc; do
    [ -e "$scratch/by_make/opt/kith/$file" ] || fail "$file is not installed"
done
if grep -rl -e "$scratch" -e "$source" -e /opt/kith "$scratch/by_make/opt/kith" --include='*.pc' --include='*.cmake' --include='*.h'; then
    fail "an installed text file (above) names a place of this machine"
fi

# --- move it; whatever still points to the old place breaks from here on
mv "$scratch/by_make/opt/kith" "$scratch/moved"
prefix=$scratch/moved

mkdir "$scratch/outside"
cp "$source/c_examples/hello.c" "$scratch/outside/hello.c"
# $1 program, $2 how it was built
runs() {
    [ "$("$1")" = "1 at 0.01
0 at 0.81" ] || fail "$2: wrong output"
    ok "$2"
}

# --- CMake consumers
consumer() { # $1 directory, $2 how kith is found
    mkdir -p "$1"
    cp "$scratch/outside/hello.c" "$1/"
    cat >"$1/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.18)
project(outside C)
$2
add_executable(with_shared hello.c)
target_link_libraries(with_shared PRIVATE kith::kith)
add_executable(with_static hello.c)
target_link_libraries(with_static PRIVATE kith::static)
CMAKE
}
build_consumer() { # $1 directory, then options
    dir=$1
    shift
    quiet "$CMAKE" -S "$dir" -B "$dir/build" -DCMAKE_C_COMPILER="$CC" "$@"
    quiet "$CMAKE" --build "$dir/build"
}
consumer "$scratch/outside/find" "find_package(kith 0.$minor REQUIRED)"
build_consumer "$scratch/outside/find" -DCMAKE_PREFIX_PATH="$prefix"
runs "$scratch/outside/find/build/with_shared" "find_package, shared, from the moved tree"
runs "$scratch/outside/find/build/with_static" "find_package, static, from the moved tree"
readelf -d "$scratch/outside/find/build/with_shared" | grep -q 'NEEDED.*\[libkith\.so\.[0-9.]*\]' || fail "the program does not ask for the soname"
if readelf -d "$scratch/outside/find/build/with_static" | grep 'NEEDED.*kith'; then fail "the static program asks for libkith.so"; fi

for wanted in 0.$((minor + 1)) $((${version%%.*} + 1)).0 "$version".1; do
    consumer "$scratch/outside/refuse" "find_package(kith $wanted REQUIRED)"
    rm -rf "$scratch/outside/refuse/build"
    if "$CMAKE" -S "$scratch/outside/refuse" -B "$scratch/outside/refuse/build" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix" \
        >"$scratch/log" 2>&1; then
        fail "find_package(kith $wanted) accepted $version"
    fi
    grep -q "version: $version" "$scratch/log" || { cat "$scratch/log"; fail "kith $wanted was refused for another reason"; }
done
ok "find_package refuses versions that do not fit"

consumer "$scratch/outside/sub" "add_subdirectory(\"$source\" kith EXCLUDE_FROM_ALL)"
build_consumer "$scratch/outside/sub" -DKITH_CARGO_TARGET_DIR="$cargo_target"
runs "$scratch/outside/sub/build/with_shared" "add_subdirectory, shared"
runs "$scratch/outside/sub/build/with_static" "add_subdirectory, static"
consumer "$scratch/outside/fetch" "include(FetchContent)
FetchContent_Declare(kith SOURCE_DIR \"$source\")
FetchContent_MakeAvailable(kith)"
build_consumer "$scratch/outside/fetch" -DKITH_CARGO_TARGET_DIR="$cargo_target"
runs "$scratch/outside/fetch/build/with_shared" "FetchContent, shared"

# --- pkg-config consumers
pc() { PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "$@"; }
[ "$(pc --modversion kith)" = "$version" ] || fail "pkg-config says version $(pc --modversion kith)"
# shellcheck disable=SC2046 # lists of words
quiet "$CC" -o "$scratch/outside/pc_shared" "$scratch/outside/hello.c" $(pc --cflags --libs kith) -Wl,-rpath,"$prefix/lib"
runs "$scratch/outside/pc_shared" "pkg-config, shared, from the moved tree"
# shellcheck disable=SC2046
quiet "$CC" -o "$scratch/outside/pc_static" "$scratch/outside/hello.c" $(pc --cflags kith) $(pc --variable=static_libs kith)
runs "$scratch/outside/pc_static" "pkg-config, static, from the moved tree"

# --- another library directory, as distributions use it
rm -rf "$scratch/by_make"
quiet tree_by_make lib/x86_64-linux-gnu
prefix=$scratch/by_make/opt/kith
libdir=$(PKG_CONFIG_PATH=$prefix/lib/x86_64-linux-gnu/pkgconfig pkg-config --variable=libdir kith)
[ -e "$libdir/libkith.a" ] || fail "LIBDIR=lib/x86_64-linux-gnu: pkg-config points to $libdir"
rm -rf "$scratch/outside/find/build"
build_consumer "$scratch/outside/find" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu
runs "$scratch/outside/find/build/with_shared" "find_package with LIBDIR=lib/x86_64-linux-gnu"

# --- and away again
quiet env PREFIX=/opt/kith DESTDIR="$scratch/by_make" LIBDIR=lib/x86_64-linux-gnu sh "$source/cmake/install-tree.sh" uninstall "$source" "$built"
quiet env DESTDIR="$scratch/by_cmake" "$CMAKE" --build "$scratch/cmake" --target uninstall
for tree in by_make by_cmake; do
    left=$(find "$scratch/$tree" ! -type d)
    [ -z "$left" ] || fail "uninstall ($tree) left $left"
done
ok "uninstall leaves nothing, by make and by cmake"
