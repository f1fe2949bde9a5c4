// Fills the list of architectures from models.def.
#include "capstan/models/registry.h"

namespace capstan {

#define CAPSTAN_MODEL(name) ModelEntry name##_model();
#include "models/models.def"
#undef CAPSTAN_MODEL

const Registry<ModelEntry>& models() {
  static const Registry<ModelEntry> registry = [] {
    Registry<ModelEntry> list("model");
#define CAPSTAN_MODEL(name) list.add(name##_model());
#include "models/models.def"
#undef CAPSTAN_MODEL
    return list;
  }();
  return registry;
}

}  // namespace capstan
