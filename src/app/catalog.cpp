#include "capstan/app/catalog.h"

#include <fmt/format.h>

#include "capstan/app/runs.h"
#include "capstan/config/write.h"
#include "capstan/data/source.h"
#include "capstan/export/exporter.h"
#include "capstan/image/transform.h"
#include "capstan/metrics/metric.h"
#include "capstan/models/registry.h"
#include "capstan/text/tokenizers.h"
#include "capstan/train/optimizer.h"
#include "capstan/train/schedule.h"

namespace capstan::app {
namespace {

template <class Entry>
Catalog list(const Registry<Entry>& registry) {
  Catalog result{registry.kind(), {}};
  for (const auto& [name, entry] : registry.entries()) result.entries.push_back({name, entry.summary});
  return result;
}

template <class Run>
std::string section(const std::string& title, const std::string& text) {
  return fmt::format("\n## {}\n\n{}\n\n{}", title, text, config::document_fields<Run>());
}

}  // namespace

std::vector<Catalog> catalog() {
  return {list(sources()), list(transforms()), list(tokenizers()), list(models()),
          list(metrics()), list(optimizers()), list(schedules()),  list(exporters())};
}

std::string configuration_reference() {
  std::string text =
      "# Configuration\n\n"
      "Made by `capstan document docs/configuration.md`; edit the code, not this file.\n\n"
      "A run takes a YAML file and `key.path=value` overrides. `extends:` lays files under this one, `${NAME}` and\n"
      "`${NAME:-default}` are filled in from the environment, and a key that nobody knows is an error with its place\n"
      "and the nearest known key.\n";
  text += section<PrepareRun>("capstan prepare", "Examples: configs/data.");
  for (const auto& [name, entry] : sources().entries())
    text += fmt::format("\n### Data source `{}`\n\n{}\n\n{}", name, entry.summary, entry.document());
  text += section<TrainRun>("capstan train", "Examples: configs/train, with shapes from configs/models.");
  for (const auto& [name, entry] : transforms().entries())
    text += fmt::format("\n### Transform `{}`\n\n{}\n\n{}", name, entry.summary, entry.document());
  text += section<EvaluateRun>("capstan evaluate", "Examples: configs/eval.");
  return text;
}

}  // namespace capstan::app
