#!/bin/sh
# Do the C++ layers work as they are installed? With every compiler there is: their tests under AddressSanitizer and UBSan, every header
# alone and in every standard, hnswlib's place by find_package, and what cannot be had says so when it is compiled.
. "$(dirname "$0")/common.sh"

command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }
quiet env PREFIX=/opt/kith DESTDIR="$scratch/tree" CC="$CC" sh "$source/cmake/install-tree.sh" install "$source" "$built"
prefix=$scratch/tree/opt/kith
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
compilers=
for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null; then compilers="$compilers $compiler"; else echo "note: no $compiler"; fi
done
[ -n "$compilers" ] || { echo "skipped: no C++ compiler"; exit 77; }
warnings="-Wall -Wextra -pedantic -Wshadow -Werror"
mkdir "$scratch/run"

# $1 name, $2 compiler, then sources and options: builds and runs a program under the sanitizers. clang's need a runtime of their own.
program() {
    name=$1 compiler=$2
    shift 2
    sanitize=
    if echo 'int main() {}' | "$compiler" -x c++ -fsanitize=address,undefined -o "$scratch/probe" - 2>/dev/null; then
        sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    else
        echo "note: $compiler has no sanitizers"
    fi
    # shellcheck disable=SC2086 # lists of words
    quiet "$compiler" $warnings $sanitize -g -O1 "$@" -Wl,-rpath,"$prefix/lib" -lpthread -o "$scratch/$name.$compiler"
}
runs() { # $1 program, then arguments
    name=$1
    shift
    (cd "$scratch/run" && quiet "$scratch/$name" "$@")
}

for compiler in $compilers; do
    for standard in 17 20; do
        for file in "$source"/tests/cpp/*.cpp; do
            name=$(basename "$file" .cpp)$standard
            # shellcheck disable=SC2046
            program "$name" "$compiler" -std=c++$standard "$file" $(pkg-config --cflags --libs kith)
            runs "$name.$compiler"
        done
    done
    ok "kith.hpp from the installed tree, $compiler, C++17 and C++20"

    for file in "$source"/tests/compat/*.cpp; do
        name=$(basename "$file" .cpp)
        # shellcheck disable=SC2046
        program "$name" "$compiler" -std=c++11 "$file" $(pkg-config --cflags --libs kith-hnswlib)
        case $name in files | misuse) runs "$name.$compiler" "$source/tests/fixtures/foreign" ;; *) runs "$name.$compiler" ;; esac
    done
    ok "hnswlib's interface from the installed tree, $compiler, C++11"

    for header in hnswlib hnswlib_fwd hnswalg bruteforce space_l2 space_ip stop_condition visited_list_pool; do
        for standard in 11 14 17 20; do
            for spelling in "hnswlib/$header.h" "$header.h"; do
                printf '#include <%s>\n#include <hnswlib/hnswlib.h>\nint main() { hnswlib::L2Space space(4); return space.get_data_size() != 16; }\n' \
                    "$spelling" >"$scratch/alone.cpp"
                # shellcheck disable=SC2046,SC2086
                quiet "$compiler" $warnings -std=c++$standard -fsyntax-only "$scratch/alone.cpp" $(pkg-config --cflags kith-hnswlib)
            done
        done
    done
    printf '#include <hnswlib/hnswlib.h>\nint main() { hnswlib::L2Space space(4); hnswlib::HierarchicalNSW<float> index(&space, 3); return 0; }\n' \
        >"$scratch/bare.cpp"
    # shellcheck disable=SC2046,SC2086
    quiet "$compiler" $warnings -std=c++11 -fno-exceptions -fno-rtti -fsyntax-only "$scratch/bare.cpp" $(pkg-config --cflags kith-hnswlib)
    ok "every header alone, C++11 to C++20, and without exceptions, $compiler"

    # What is raw memory of hnswlib's graph does not compile, and says what to use.
    for use in 'index.get_linklist0(0)' 'index.data_level0_memory_[3]' 'int top = index.maxlevel_; (void)top' \
        'index.enterpoint_node_ = 1u' 'index.getListCount(nullptr)' 'index.setExternalLabel(0, 1)' 'index.searchBaseLayerST<true>(0, nullptr, 1)' \
        'flat.data_[0]'; do
        printf '#include <hnswlib/hnswlib.h>\nint main() {\n hnswlib::L2Space space(4);\n hnswlib::HierarchicalNSW<float> index(&space, 3);\n hnswlib::BruteforceSearch<float> flat(&space, 3);\n %s;\n}\n' \
            "$use" >"$scratch/never.cpp"
        # shellcheck disable=SC2046
        if "$compiler" -std=c++11 -fsyntax-only "$scratch/never.cpp" $(pkg-config --cflags kith-hnswlib) >"$scratch/log" 2>&1; then
            fail "$compiler accepts $use"
        fi
        grep -q "kith: .*use " "$scratch/log" || { cat "$scratch/log"; fail "$use: the message does not say what to use"; }
    done
    printf '#include <hnswlib/hnswlib.h>\nint main() {\n hnswlib::L2Space space(4);\n hnswlib::HierarchicalNSW<float> index(&space, 3);\n index.cur_element_count = 5;\n}\n' \
        >"$scratch/never.cpp"
    # shellcheck disable=SC2046
    if "$compiler" -std=c++11 -fsyntax-only "$scratch/never.cpp" $(pkg-config --cflags kith-hnswlib) >"$scratch/log" 2>&1; then
        fail "$compiler lets a program set the count of elements"
    fi
    ok "what cannot be had does not compile, $compiler"
done

# A program may hold hnswlib itself in another part: no symbol of ours has a name of theirs.
for compiler in $compilers; do
    theirs=$(nm -C "$scratch/semantics.$compiler" | grep ' [TtVvWwuBbDdRr] ' | sed 's/^[0-9a-f]* . //' | grep -E '^(void |bool |float )?hnswlib::' | grep -v 'kith_v1' || true)
    [ -z "$theirs" ] || { echo "$theirs" | head; fail "symbols that hnswlib may have, too (above)"; }
done
ok "no symbol has a name that hnswlib's could have"

# Such a program, whose halves use one each: hnswlib itself where KITH_REAL_HNSWLIB says, else one that stands in for it. Linked in both
# orders, as of two functions of one name the linker would take the first.
both=$source/tests/compat/both
for compiler in $compilers; do
    for optimised in -O0 "-O2 -flto"; do
        [ "$compiler" = g++ ] || [ "$optimised" = -O0 ] || continue
        strict=$warnings
        [ -z "${KITH_REAL_HNSWLIB:-}" ] || strict=-w
        # shellcheck disable=SC2086
        quiet "$compiler" $strict -std=c++11 -g $optimised -I"${KITH_REAL_HNSWLIB:-$both/stand_in}" -DHALF=with_theirs -c "$both/half.cpp" \
            -o "$scratch/theirs.o"
        # shellcheck disable=SC2046,SC2086
        quiet "$compiler" $warnings -std=c++11 -g $optimised $(pkg-config --cflags kith-hnswlib) -DHALF=with_ours -c "$both/half.cpp" \
            -o "$scratch/ours.o"
        for halves in "$scratch/theirs.o $scratch/ours.o" "$scratch/ours.o $scratch/theirs.o"; do
            # shellcheck disable=SC2046,SC2086
            quiet "$compiler" $warnings -std=c++11 -g $optimised "$both/main.cpp" $halves $(pkg-config --libs kith-hnswlib) \
                -Wl,-rpath,"$prefix/lib" -lpthread -o "$scratch/both.$compiler"
            runs "both.$compiler"
        done
    done
done
ok "hnswlib and kith in one program${KITH_REAL_HNSWLIB:+, with hnswlib itself}"

if command -v "$CMAKE" >/dev/null; then
    for how in "find_package(hnswlib 0.8 REQUIRED)" "find_package(kith REQUIRED COMPONENTS hnswlib)"; do
        rm -rf "$scratch/user"
        mkdir "$scratch/user"
        cp "$scratch/bare.cpp" "$scratch/user/"
        printf 'cmake_minimum_required(VERSION 3.18)\nproject(user CXX)\n%s\nadd_executable(user bare.cpp)\ntarget_link_libraries(user PRIVATE hnswlib::hnswlib)\n' \
            "$how" >"$scratch/user/CMakeLists.txt"
        quiet "$CMAKE" -S "$scratch/user" -B "$scratch/user/build" -Dhnswlib_DIR="$prefix/lib/cmake/kith-hnswlib" -DCMAKE_PREFIX_PATH="$prefix"
        quiet "$CMAKE" --build "$scratch/user/build"
        quiet "$scratch/user/build/user"
        ok "$how"
    done
    # Not found by chance: only a project that opts in gets kith for hnswlib.
    printf 'cmake_minimum_required(VERSION 3.18)\nproject(user CXX)\nfind_package(hnswlib QUIET)\nif(hnswlib_FOUND AND hnswlib_DIR MATCHES kith)\n  message(FATAL_ERROR "kith is found as hnswlib")\nendif()\n' \
        >"$scratch/user/CMakeLists.txt"
    rm -rf "$scratch/user/build"
    quiet "$CMAKE" -S "$scratch/user" -B "$scratch/user/build" -DCMAKE_PREFIX_PATH="$prefix"
    ok "find_package(hnswlib) finds kith only where it is told to"
fi
