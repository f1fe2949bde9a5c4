# Defines OpenCV::core, OpenCV::imgproc and OpenCV::imgcodecs from the separate Debian packages:
# OpenCV's own CMake package comes only with the full development package and 150 others.
find_path(OpenCVParts_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
set(_parts core imgproc imgcodecs)
set(_libraries)
foreach(part IN LISTS _parts)
  find_library(OpenCVParts_${part}_LIBRARY opencv_${part})
  list(APPEND _libraries OpenCVParts_${part}_LIBRARY)
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVParts REQUIRED_VARS OpenCVParts_INCLUDE_DIR ${_libraries})
if(OpenCVParts_FOUND AND NOT TARGET OpenCV::core)
  foreach(part IN LISTS _parts)
    add_library(OpenCV::${part} UNKNOWN IMPORTED)
    set_target_properties(OpenCV::${part} PROPERTIES
      IMPORTED_LOCATION ${OpenCVParts_${part}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${OpenCVParts_INCLUDE_DIR})
  endforeach()
endif()
mark_as_advanced(OpenCVParts_INCLUDE_DIR ${_libraries})
