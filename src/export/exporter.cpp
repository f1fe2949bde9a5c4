// The list of export formats.
#include "capstan/export/exporter.h"

namespace capstan {

#define CAPSTAN_EXPORTER(name) ExporterEntry name##_exporter();
#include "export/exporters.def"
#undef CAPSTAN_EXPORTER

const Registry<ExporterEntry>& exporters() {
  static const Registry<ExporterEntry> registry = [] {
    Registry<ExporterEntry> list("export format");
#define CAPSTAN_EXPORTER(name) list.add(name##_exporter());
#include "export/exporters.def"
#undef CAPSTAN_EXPORTER
    return list;
  }();
  return registry;
}

}  // namespace capstan
