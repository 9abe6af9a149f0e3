# What ctest runs: every program of tests/c and the examples, linked to the shared and to the static library, and the checks of
# tests/package on the built files. Every program runs in an empty directory of its own and passes by returning 0.
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
endif()

set(_kith_warnings -Wall -Wextra -pedantic -Wshadow -Werror)

# kith_program(NAME SOURCE): the targets NAME.shared and NAME.static.
function(kith_program name source)
  foreach(kind shared static)
    set(target "${name}.${kind}")
    add_executable(${target} "${source}")
    set_target_properties(${target} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
      CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/programs")
    target_compile_options(${target} PRIVATE ${_kith_warnings})
    if(kind STREQUAL "shared")
      target_link_libraries(${target} PRIVATE kith::kith Threads::Threads m)
    else()
      target_link_libraries(${target} PRIVATE kith::static m)
    endif()
  endforeach()
endfunction()

# kith_test(NAME PROGRAM [argument...]): ctest NAME.shared and NAME.static run PROGRAM.shared and PROGRAM.static.
function(kith_test name program)
  foreach(kind shared static)
    set(scratch "${PROJECT_BINARY_DIR}/scratch/${name}.${kind}")
    file(MAKE_DIRECTORY "${scratch}")
    add_test(NAME ${name}.${kind} COMMAND ${program}.${kind} ${ARGN} WORKING_DIRECTORY "${scratch}")
    set_tests_properties(${name}.${kind} PROPERTIES TIMEOUT 300)
  endforeach()
endfunction()

function(kith_expect name pattern)
  foreach(kind shared static)
    set_tests_properties(${name}.${kind} PROPERTIES PASS_REGULAR_EXPRESSION "${pattern}")
  endforeach()
endfunction()

# Programs of tests/c and tests/cpp: one file is one program.
set(_kith_patterns tests/c/*.c)
if(CMAKE_CXX_COMPILER)
  list(APPEND _kith_patterns tests/c/*.cpp tests/cpp/*.cpp)
endif()
file(GLOB _kith_sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" ${_kith_patterns})
foreach(_kith_source IN LISTS _kith_sources)
  get_filename_component(_kith_name "${_kith_source}" NAME_WE)
  get_filename_component(_kith_language "${_kith_source}" LAST_EXT)
  string(SUBSTRING "${_kith_language}" 1 -1 _kith_language)
  kith_program("${_kith_language}.${_kith_name}" "${_kith_source}")
  kith_test("${_kith_language}.${_kith_name}" "${_kith_language}.${_kith_name}")
endforeach()

# Programs of tests/compat: against hnswlib's interface, in hnswlib's C++.
if(CMAKE_CXX_COMPILER)
  file(GLOB _kith_sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" tests/compat/*.cpp)
  foreach(_kith_source IN LISTS _kith_sources)
    get_filename_component(_kith_name "${_kith_source}" NAME_WE)
    kith_program("hnswlib.${_kith_name}" "${_kith_source}")
    foreach(_kith_kind shared static)
      set_target_properties("hnswlib.${_kith_name}.${_kith_kind}" PROPERTIES CXX_STANDARD 11)
      target_include_directories("hnswlib.${_kith_name}.${_kith_kind}" PRIVATE include/compat)
    endforeach()
    set(_kith_arguments)
    if(_kith_name MATCHES "^(files|misuse)$")
      set(_kith_arguments "${PROJECT_SOURCE_DIR}/tests/fixtures/foreign")
    endif()
    kith_test("hnswlib.${_kith_name}" "hnswlib.${_kith_name}" ${_kith_arguments})
  endforeach()
endif()

# The examples. Where a pattern is given the output must hold it; elsewhere the program judges itself and returns 0.
foreach(_kith_name hello filter batch_build save_load quickstart)
  kith_program(example.${_kith_name} c_examples/${_kith_name}.c)
endforeach()
kith_test(example.hello example.hello)
kith_expect(example.hello "^1 at 0\\.01\n0 at 0\\.81\n$")
kith_test(example.filter example.filter)
kith_test(example.batch_build example.batch_build)
kith_test(example.save_load example.save_load saved.kith)
set(_kith_data --data "${PROJECT_SOURCE_DIR}/c_examples/data")
kith_test(example.quickstart example.quickstart ${_kith_data} gimp vlc)
kith_test(example.quickstart.neighbours example.quickstart ${_kith_data} vlc)
kith_expect(example.quickstart.neighbours "mplayer .*the same answers to 1000 of 1000 questions")
kith_test(example.quickstart.misspelt example.quickstart ${_kith_data} postgre)
kith_expect(example.quickstart.misspelt "no package is called \"postgre\".*did you mean postgresql")
if(CMAKE_CXX_COMPILER)
  kith_program(example.modern c_examples/modern.cpp)
  kith_test(example.modern example.modern)
endif()

# What the binary interface promises: clients of earlier versions run, and a defect inside kith stays inside.
add_test(NAME abi.old_clients COMMAND sh "${PROJECT_SOURCE_DIR}/tests/abi/old/run.sh" "${KITH_LIBRARY_DIR}"
  "${PROJECT_BINARY_DIR}/scratch/old_clients")
add_test(NAME abi.defect COMMAND sh "${PROJECT_SOURCE_DIR}/tests/abi/hooks/run.sh" "${PROJECT_SOURCE_DIR}"
  "${PROJECT_BINARY_DIR}/scratch/hooks")
set_tests_properties(abi.old_clients abi.defect PROPERTIES TIMEOUT 900
  ENVIRONMENT "CARGO=${KITH_CARGO};CC=${CMAKE_C_COMPILER};LD=${CMAKE_LINKER};OBJCOPY=${CMAKE_OBJCOPY};STRIP=${CMAKE_STRIP};AR=${CMAKE_AR};NM=${CMAKE_NM}")

# The built files and the installed tree.
foreach(_kith_name symbols lto second_rust roundtrip cpp)
  add_test(NAME package.${_kith_name} COMMAND sh "${PROJECT_SOURCE_DIR}/tests/package/${_kith_name}.sh"
    "${PROJECT_SOURCE_DIR}" "${KITH_CARGO_TARGET_DIR}" "${KITH_LIBRARY_DIR}" "${PROJECT_BINARY_DIR}/package/${_kith_name}")
  set_tests_properties(package.${_kith_name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "CARGO=${KITH_CARGO};CC=${CMAKE_C_COMPILER};CMAKE=${CMAKE_COMMAND};KITH_HOOKS=${PROJECT_BINARY_DIR}/scratch/hooks")
endforeach()

# The benches: what a query costs in counts, beside what is recorded (after abi.defect, which makes the library that counts), and whether
# the comparison with other engines measures what it says.
add_test(NAME bench.work COMMAND sh "${PROJECT_SOURCE_DIR}/benches/work/work.sh" "${PROJECT_SOURCE_DIR}" "${KITH_LIBRARY_DIR}"
  "${PROJECT_BINARY_DIR}/scratch/hooks" "${PROJECT_BINARY_DIR}/scratch/work")
add_test(NAME bench.peers COMMAND sh "${PROJECT_SOURCE_DIR}/benches/peers/run.sh" test)
set_tests_properties(bench.work bench.peers PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77
  ENVIRONMENT "CARGO=${KITH_CARGO};CC=${CMAKE_C_COMPILER}")
set_tests_properties(bench.work PROPERTIES DEPENDS abi.defect)
