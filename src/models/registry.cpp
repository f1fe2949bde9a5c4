// Fills the list of architectures from models.def and the families of vision encoders.
#include "capstan/models/registry.h"

#include "models/vision_family.h"

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
    for (const auto& [name, family] : vision_families().entries()) list.add({name, family.summary});
    return list;
  }();
  return registry;
}

}  // namespace capstan
