# Prints what was resolved, so that a report of a problem can start with it.
set(_cuda "no")
if(CAPSTAN_TORCH_CUDA)
  set(_cuda "${CUDA_VERSION}")
endif()
set(_opencv "")
if(EXISTS ${OpenCVParts_INCLUDE_DIR}/opencv2/core/version.hpp)
  file(STRINGS ${OpenCVParts_INCLUDE_DIR}/opencv2/core/version.hpp _opencv_lines
       REGEX "define CV_VERSION_(MAJOR|MINOR) ")
  string(REGEX REPLACE "[^0-9;]" "" _opencv "${_opencv_lines}")
  list(JOIN _opencv "." _opencv)
endif()
set(_sanitize ${CAPSTAN_SANITIZE})
if(NOT _sanitize)
  set(_sanitize "none")
endif()
message(STATUS "capstan ${PROJECT_VERSION} is configured:
     build       ${CMAKE_BUILD_TYPE}, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, sanitizers ${_sanitize}
     LibTorch    ${Torch_VERSION}, CUDA ${_cuda}
     libraries   HDF5 ${HDF5_VERSION}, OpenCV ${_opencv}, yaml-cpp ${yaml-cpp_VERSION}
     options     program ${CAPSTAN_BUILD_TOOLS}, tests ${CAPSTAN_BUILD_TESTS}, warnings as errors ${CAPSTAN_WERROR}
     ccache      ${CAPSTAN_CCACHE}
")
