# The installed tree; the same one as `make install` (cmake/install-tree.sh), from the same templates.
include(GNUInstallDirs)

foreach(_kith_dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${_kith_dir}}")
    message(FATAL_ERROR "CMAKE_INSTALL_${_kith_dir} must be relative to the prefix: the installed tree can be moved")
  endif()
  set(KITH_${_kith_dir} "${CMAKE_INSTALL_${_kith_dir}}")
endforeach()
string(REGEX REPLACE "[^/]+" ".." KITH_PC_TO_PREFIX "${KITH_LIBDIR}/pkgconfig")
string(REGEX REPLACE "[^/]+" ".." KITH_CMAKE_TO_PREFIX "${KITH_LIBDIR}/cmake/kith")
set(KITH_VERSION "${PROJECT_VERSION}")
set(KITH_POINTER_BYTES "${CMAKE_SIZEOF_VOID_P}")
if(APPLE)
  set(KITH_NATIVE_LIBS "-lm")
else()
  set(KITH_NATIVE_LIBS "-lpthread -ldl -lm")
endif()

set(_kith_made "${PROJECT_BINARY_DIR}/install")
foreach(_kith_file kith.pc kith-hnswlib.pc kith-config.cmake kith-config-version.cmake hnswlibConfig.cmake hnswlibConfigVersion.cmake)
  configure_file("cmake/${_kith_file}.in" "${_kith_made}/${_kith_file}" @ONLY)
endforeach()

set(_kith_shared_files ${KITH_LIBRARY_FILES})
list(FILTER _kith_shared_files EXCLUDE REGEX "\\.a$")
install(PROGRAMS ${_kith_shared_files} DESTINATION "${KITH_LIBDIR}")
install(FILES "${KITH_LIBRARY_DIR}/libkith.a" DESTINATION "${KITH_LIBDIR}")
install(FILES include/kith.h include/kith.hpp DESTINATION "${KITH_INCLUDEDIR}")
install(DIRECTORY include/kith DESTINATION "${KITH_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY include/compat DESTINATION "${KITH_INCLUDEDIR}/kith" FILES_MATCHING PATTERN "*.h")
install(FILES "${_kith_made}/kith.pc" "${_kith_made}/kith-hnswlib.pc" DESTINATION "${KITH_LIBDIR}/pkgconfig")
install(FILES "${_kith_made}/kith-config.cmake" "${_kith_made}/kith-config-version.cmake" DESTINATION "${KITH_LIBDIR}/cmake/kith")
# Not where find_package(hnswlib) looks by itself: whoever wants kith in hnswlib's place says so with hnswlib_DIR.
install(FILES "${_kith_made}/hnswlibConfig.cmake" "${_kith_made}/hnswlibConfigVersion.cmake"
  DESTINATION "${KITH_LIBDIR}/cmake/kith-hnswlib")

if(NOT TARGET uninstall)
  add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} "-DMANIFEST=${CMAKE_BINARY_DIR}/install_manifest.txt" -P "${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake"
    COMMENT "Removing what the last install put in place" VERBATIM)
endif()
