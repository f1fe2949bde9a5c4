# Every library from outside, its oldest version, and what to do when it is missing.
# Reused by the installed package: capstanConfig.cmake includes this file.
include_guard(GLOBAL)

macro(capstan_require name)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "capstan: ${name} was not found. ${ARGN}")
  endif()
endmacro()

include(TorchCuda)
# TorchConfig warns about optional parts of its own (kineto) that nobody here can change.
set(_level "${CMAKE_MESSAGE_LOG_LEVEL}")
if(NOT CAPSTAN_TORCH_CUDA)
  set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
endif()
find_package(Torch 2.11 QUIET)
set(CMAKE_MESSAGE_LOG_LEVEL "${_level}")
capstan_require(Torch "Run tools/setup.sh, or pass the folder that Python prints for
  import torch; print(torch.utils.cmake_prefix_path)
as -DCMAKE_PREFIX_PATH.")
find_package(Threads REQUIRED)
find_package(fmt 9 QUIET)
capstan_require(fmt "On Debian and Ubuntu: apt-get install libfmt-dev.")
find_package(nlohmann_json 3.10 QUIET)
capstan_require(nlohmann_json "On Debian and Ubuntu: apt-get install nlohmann-json3-dev.")
find_package(yaml-cpp QUIET)
capstan_require(yaml-cpp "On Debian and Ubuntu: apt-get install libyaml-cpp-dev.")
if(NOT TARGET yaml-cpp::yaml-cpp)  # yaml-cpp before 0.8 has no namespace
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
find_package(SentencePiece QUIET)
capstan_require(SentencePiece "On Debian and Ubuntu: apt-get install libsentencepiece-dev.")
find_package(XxHash QUIET)
capstan_require(XxHash "On Debian and Ubuntu: apt-get install libxxhash-dev.")
find_package(JPEG QUIET)
capstan_require(JPEG "On Debian and Ubuntu: apt-get install libjpeg-dev.")
find_package(OpenCVParts QUIET)
capstan_require(OpenCVParts "On Debian and Ubuntu: apt-get install libopencv-imgcodecs-dev libopencv-imgproc-dev.")
if(NOT DEFINED CAPSTAN_NEEDS_HDF5 OR CAPSTAN_NEEDS_HDF5)  # only an installed package asks for less
  enable_language(C)  # FindHDF5 tries a C program
  find_package(HDF5 1.10 QUIET COMPONENTS C)
  capstan_require(HDF5 "On Debian and Ubuntu: apt-get install libhdf5-dev.")
endif()
