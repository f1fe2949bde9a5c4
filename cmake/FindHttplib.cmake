# Defines Httplib::Httplib, the compiled form that Debian and Ubuntu ship, with the flags it was compiled with.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_Httplib QUIET cpp-httplib)
endif()
find_path(Httplib_INCLUDE_DIR httplib.h HINTS ${PC_Httplib_INCLUDE_DIRS})
find_library(Httplib_LIBRARY cpp-httplib HINTS ${PC_Httplib_LIBRARY_DIRS})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Httplib REQUIRED_VARS Httplib_LIBRARY Httplib_INCLUDE_DIR)
if(Httplib_FOUND AND NOT TARGET Httplib::Httplib)
  add_library(Httplib::Httplib UNKNOWN IMPORTED)
  set_target_properties(Httplib::Httplib PROPERTIES
    IMPORTED_LOCATION ${Httplib_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${Httplib_INCLUDE_DIR}
    INTERFACE_COMPILE_OPTIONS "${PC_Httplib_CFLAGS_OTHER}")
endif()
mark_as_advanced(Httplib_INCLUDE_DIR Httplib_LIBRARY)
