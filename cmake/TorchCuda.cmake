# Lets a LibTorch with CUDA find the toolkit of the machine (CUDA_HOME, /usr/local/cuda or PATH), and takes what a small
# toolkit lacks, nvrtc, from the wheels beside torch. Does nothing for a LibTorch without CUDA.
find_path(CAPSTAN_TORCH_CMAKE TorchConfig.cmake PATH_SUFFIXES Torch share/cmake/Torch HINTS ${Torch_DIR})
mark_as_advanced(CAPSTAN_TORCH_CMAKE)
get_filename_component(_torch_root "${CAPSTAN_TORCH_CMAKE}/../../.." ABSOLUTE)
set(CAPSTAN_TORCH_CUDA OFF)
if(NOT EXISTS ${_torch_root}/lib/libtorch_cuda.so)
  return()
endif()
set(CAPSTAN_TORCH_CUDA ON)
find_program(CAPSTAN_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT CAPSTAN_NVCC)
  message(FATAL_ERROR "capstan: this LibTorch has CUDA, but nvcc was not found. Install NVIDIA's CUDA toolkit or set "
                      "CUDA_HOME; for the CPU alone: CAPSTAN_TORCH=cpu tools/setup.sh")
endif()
get_filename_component(_toolkit "${CAPSTAN_NVCC}/../.." ABSOLUTE)
if(EXISTS ${_toolkit}/include/cuda.h)  # not so when nvcc is a script in some bin folder; CMake then searches itself
  set(CUDA_TOOLKIT_ROOT_DIR ${_toolkit} CACHE PATH "NVIDIA's toolkit")
  set(CMAKE_CUDA_COMPILER ${CAPSTAN_NVCC} CACHE FILEPATH "NVIDIA's compiler")
endif()
file(GLOB _wheel_folders ${_torch_root}/../nvidia/cu*)
find_library(CUDA_nvrtc_LIBRARY NAMES nvrtc libnvrtc.so.13 libnvrtc.so.12
             HINTS ${_toolkit}/lib64 ${_wheel_folders} PATH_SUFFIXES lib)
