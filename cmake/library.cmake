# Builds the library (cargo decides what is out of date) and declares kith::kith and kith::static for this build.

if(WIN32)
  message(FATAL_ERROR "kith cannot be built on Windows yet")
endif()
find_program(KITH_CARGO cargo HINTS "$ENV{HOME}/.cargo/bin" DOC "cargo, at least 1.95 (https://rustup.rs)")
if(NOT KITH_CARGO)
  message(FATAL_ERROR "kith is written in Rust and needs cargo; install it with\n"
    "  curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal")
endif()
find_package(Threads REQUIRED)

if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(_kith_abi "0.${PROJECT_VERSION_MINOR}")   # the rule of build.rs
else()
  set(_kith_abi "${PROJECT_VERSION_MAJOR}")
endif()
if(APPLE)
  set(KITH_SHARED_FILE "libkith.${PROJECT_VERSION}.dylib")
  set(_kith_links "libkith.${_kith_abi}.dylib" libkith.dylib)
  set(KITH_SONAME "@rpath/libkith.${_kith_abi}.dylib")
else()
  set(KITH_SHARED_FILE "libkith.so.${PROJECT_VERSION}")
  set(_kith_links "libkith.so.${_kith_abi}" libkith.so)
  set(KITH_SONAME "libkith.so.${_kith_abi}")
endif()

set(KITH_LIBRARY_DIR "${PROJECT_BINARY_DIR}/lib")
set(KITH_LIBRARY_FILES libkith.a ${KITH_SHARED_FILE} ${_kith_links})
list(TRANSFORM KITH_LIBRARY_FILES PREPEND "${KITH_LIBRARY_DIR}/")

# Run in every build: cargo answers in a few hundredths of a second, and files that did not change keep their time.
add_custom_target(kith_build ALL
  COMMAND ${CMAKE_COMMAND} -E env "CARGO=${KITH_CARGO}" "LD=${CMAKE_LINKER}" "OBJCOPY=${CMAKE_OBJCOPY}" "STRIP=${CMAKE_STRIP}"
          "AR=${CMAKE_AR}" "NM=${CMAKE_NM}"
          sh "${PROJECT_SOURCE_DIR}/cmake/build-library.sh"
          "${PROJECT_SOURCE_DIR}" "${KITH_CARGO_TARGET_DIR}" "${KITH_LIBRARY_DIR}"
  BYPRODUCTS ${KITH_LIBRARY_FILES}
  COMMENT "Building libkith through cargo" USES_TERMINAL VERBATIM)

# GLOBAL, so that a project which took kith in by add_subdirectory or FetchContent sees the same names as after find_package.
add_library(kith::kith SHARED IMPORTED GLOBAL)
set_target_properties(kith::kith PROPERTIES
  IMPORTED_LOCATION "${KITH_LIBRARY_DIR}/${KITH_SHARED_FILE}"
  IMPORTED_SONAME "${KITH_SONAME}"
  INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
add_dependencies(kith::kith kith_build)

# hnswlib's interface: the same names, found by either of its spellings, <hnswlib/hnswlib.h> and <hnswlib.h>.
add_library(kith_hnswlib INTERFACE)
add_library(kith::hnswlib ALIAS kith_hnswlib)
target_include_directories(kith_hnswlib INTERFACE "${PROJECT_SOURCE_DIR}/include/compat"
  "${PROJECT_SOURCE_DIR}/include/compat/hnswlib")
target_link_libraries(kith_hnswlib INTERFACE kith::kith)

add_library(kith::static STATIC IMPORTED GLOBAL)
set_target_properties(kith::static PROPERTIES
  IMPORTED_LOCATION "${KITH_LIBRARY_DIR}/libkith.a"
  INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include"
  INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
add_dependencies(kith::static kith_build)
