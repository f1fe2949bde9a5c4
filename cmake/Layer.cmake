# capstan_add_layer(NAME [DEPS layers...] [LIBRARIES libs...] [TORCH_PCH])
# One static library per layer from src/NAME and include/capstan/NAME. DEPS are the layers it may
# include (tools/check_layers.py reads the same lines); LIBRARIES stay behind its .cpp files.
# TORCH_PCH reuses the one precompiled header with torch/nn.
function(capstan_add_layer name)
  cmake_parse_arguments(LAYER "TORCH_PCH" "" "DEPS;LIBRARIES" ${ARGN})
  set(target capstan_${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/capstan/${name}/*.h)
  add_library(${target} STATIC ${sources})
  add_library(capstan::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
  target_compile_features(${target} PUBLIC cxx_std_20)
  list(TRANSFORM LAYER_DEPS PREPEND capstan::)
  target_link_libraries(${target} PUBLIC ${LAYER_DEPS}
    PRIVATE $<BUILD_INTERFACE:capstan_build_flags> fmt::fmt-header-only nlohmann_json::nlohmann_json ${LAYER_LIBRARIES})
  if(LAYER_TORCH_PCH)
    target_precompile_headers(${target} REUSE_FROM capstan_torch_pch)
  endif()
  install(TARGETS ${target} EXPORT capstanTargets FILE_SET HEADERS)
  set_property(GLOBAL APPEND PROPERTY CAPSTAN_LAYERS ${name})
endfunction()
