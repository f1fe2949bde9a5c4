# Defines C10d::headers: what c10d's process groups need beside LibTorch's own headers. Only headers: the code of Gloo
# and NCCL is inside LibTorch or loaded by it, and linking a second Gloo would break it.
# USE_C10D_GLOO and USE_C10D_NCCL, which open those headers, come with the torch target.
find_path(C10dHeaders_GLOO_INCLUDE_DIR gloo/rendezvous/store.h)
set(_c10d_folders C10dHeaders_GLOO_INCLUDE_DIR)
if(CAPSTAN_TORCH_CUDA)
  # Small toolkits lack cuBLAS, and most lack NCCL; the wheels that torch itself needs bring both.
  file(GLOB _nvidia_wheels ${_torch_root}/../nvidia/cu* ${_torch_root}/../nvidia/nccl ${_torch_root}/../nvidia/cublas)
  find_path(C10dHeaders_CUBLAS_INCLUDE_DIR cublas_v2.h HINTS ${CUDA_TOOLKIT_ROOT_DIR} ${_nvidia_wheels}
            PATH_SUFFIXES include)
  find_path(C10dHeaders_NCCL_INCLUDE_DIR nccl.h HINTS ${_nvidia_wheels} ${CUDA_TOOLKIT_ROOT_DIR} PATH_SUFFIXES include)
  list(APPEND _c10d_folders C10dHeaders_CUBLAS_INCLUDE_DIR C10dHeaders_NCCL_INCLUDE_DIR)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(C10dHeaders REQUIRED_VARS ${_c10d_folders})
if(C10dHeaders_FOUND AND NOT TARGET C10d::headers)
  add_library(C10d::headers INTERFACE IMPORTED)
  foreach(_folder IN LISTS _c10d_folders)
    set_property(TARGET C10d::headers APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES ${${_folder}})
  endforeach()
endif()
mark_as_advanced(${_c10d_folders})
