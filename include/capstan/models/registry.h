// The architectures this build knows, for `capstan list`.
#pragma once
#include <string>

#include "capstan/core/registry.h"

namespace capstan {

struct ModelEntry {
  std::string name;  // model_type in config.json
  std::string summary;
};

const Registry<ModelEntry>& models();

}  // namespace capstan
