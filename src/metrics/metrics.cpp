// The list of metrics, from metrics.def.
#include "capstan/metrics/metric.h"

namespace capstan {

#define CAPSTAN_METRIC(name) MetricEntry name##_metric();
#include "metrics.def"
#undef CAPSTAN_METRIC

const Registry<MetricEntry>& metrics() {
  static const Registry<MetricEntry> registry = [] {
    Registry<MetricEntry> list("metric");
#define CAPSTAN_METRIC(name) list.add(name##_metric());
#include "metrics.def"
#undef CAPSTAN_METRIC
    return list;
  }();
  return registry;
}

}  // namespace capstan
