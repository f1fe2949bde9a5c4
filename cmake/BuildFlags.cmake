# capstan_build_flags: warnings, visibility and sanitizers for our own targets only.
add_library(capstan_build_flags INTERFACE)
target_compile_options(capstan_build_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
  $<$<BOOL:${CAPSTAN_WERROR}>:-Werror>
  -fpch-preprocess)
if(CAPSTAN_SANITIZE)
  list(JOIN CAPSTAN_SANITIZE "," _sanitizers)
  # GCC 12 takes what the sanitizers insert for reads of uninitialised members.
  target_compile_options(capstan_build_flags INTERFACE -Wno-maybe-uninitialized
    -fsanitize=${_sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(capstan_build_flags INTERFACE -fsanitize=${_sanitizers})
endif()
if(CAPSTAN_TORCH_CUDA)
  target_compile_definitions(capstan_build_flags INTERFACE CAPSTAN_CUDA)  # what only a GPU can do is compiled too
endif()
