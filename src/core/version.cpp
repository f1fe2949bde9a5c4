#include "capstan/core/version.h"

#include <torch/version.h>

#include "capstan_version.h"

namespace capstan {

std::string version() { return CAPSTAN_VERSION; }
std::string torch_version() { return TORCH_VERSION; }

}  // namespace capstan
