// The list of data sources, filled from sources.def.
#include "capstan/data/source.h"

namespace capstan {

#define CAPSTAN_SOURCE(name) SourceEntry name##_source();
#include "data/sources.def"
#undef CAPSTAN_SOURCE

const Registry<SourceEntry>& sources() {
  static const Registry<SourceEntry> registry = [] {
    Registry<SourceEntry> list("data source");
#define CAPSTAN_SOURCE(name) list.add(name##_source());
#include "data/sources.def"
#undef CAPSTAN_SOURCE
    return list;
  }();
  return registry;
}

}  // namespace capstan
