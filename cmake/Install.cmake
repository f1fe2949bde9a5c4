# Makes `cmake --install` and find_package(capstan COMPONENTS inference training) work.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/capstan)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/capstanConfig.cmake.in ${PROJECT_BINARY_DIR}/capstanConfig.cmake
  INSTALL_DESTINATION ${_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/capstanConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT capstanTargets NAMESPACE capstan:: DESTINATION ${_package})
install(FILES
  ${PROJECT_BINARY_DIR}/capstanConfig.cmake ${PROJECT_BINARY_DIR}/capstanConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake ${CMAKE_CURRENT_LIST_DIR}/TorchCuda.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindOpenCVParts.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindSentencePiece.cmake ${CMAKE_CURRENT_LIST_DIR}/FindXxHash.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindHttplib.cmake
  DESTINATION ${_package})
