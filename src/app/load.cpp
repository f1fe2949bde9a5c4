// Runs from files, with the options of their plug-ins checked at the same time.
#include "capstan/config/load.h"

#include <fmt/format.h>

#include <filesystem>

#include "capstan/app/build.h"
#include "capstan/core/error.h"
#include "capstan/image/transform.h"

namespace capstan::app {
namespace {

config::Node load_document(const std::string& path, const std::vector<std::string>& overrides) {
  if (path.empty() && overrides.empty())
    throw UsageError("no configuration: give a YAML file as in configs/, or key=value pairs");
  return config::load_tree(path, overrides);
}

template <class Run>
Run read_run(const config::Node& document, config::Problems& problems) {
  Run run;
  config::read(document, run, problems);
  return run;
}

}  // namespace

std::vector<std::unique_ptr<CaptionSource>> make_sources(const std::vector<config::Component>& components,
                                                         config::Problems& problems) {
  std::vector<std::unique_ptr<CaptionSource>> made;
  for (const auto& component : components) {
    if (component.name.empty()) continue;  // already reported by the reader
    try {
      made.push_back(sources().find(component.name).make(component.config, problems));
    } catch (const ConfigError& error) {
      problems.add(component.config, std::string("sources: ") + error.what());
    }
  }
  return made;
}

PrepareRun load_prepare_run(const std::string& path, const std::vector<std::string>& overrides) {
  config::Problems problems;
  auto run = read_run<PrepareRun>(load_document(path, overrides), problems);
  make_sources(run.sources, problems);
  problems.throw_if_any();
  return run;
}

namespace {

config::Node without(config::Node node, std::string_view key) {
  std::erase_if(node.entries, [&](const auto& entry) { return entry.first == key; });
  return node;
}

// A stage is the whole document with its own keys on top, in a folder of its own, going on from the stage before.
TrainRun resolve_stage(const config::Node& document, const TrainRun& whole, std::size_t number,
                       const std::string& previous, config::Problems& problems) {
  const config::Component& stage = whole.stages[number];
  if (stage.name.empty() || stage.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                         "0123456789_-") != std::string::npos)
    problems.add(stage.config,
                 fmt::format("stages.{}.name: found '{}', expected letters, digits, - and _", number, stage.name));
  for (const char* key : {"output", "stages", "resume", "parallel", "device"})
    if (stage.config.find(key) != nullptr)
      problems.add(*stage.config.find(key), fmt::format("stages.{}.config: {} belongs to the whole run", number, key));
  config::Node tree = without(document, "stages");
  if (stage.config.kind == config::Node::Kind::kMap) config::merge(tree, stage.config);
  auto run = read_run<TrainRun>(tree, problems);
  run.output = (std::filesystem::path(whole.output) / fmt::format("{:02}-{}", number + 1, stage.name)).string();
  if (previous.empty() ||
      (stage.config.find("model") != nullptr && (stage.config.find("model")->find("from_pretrained") != nullptr ||
                                                 stage.config.find("model")->find("encoder_from") != nullptr)))
    return run;
  run.model.from_pretrained = previous;
  run.model.encoder_from.clear();
  run.model.decoder_from.clear();
  return run;
}

}  // namespace

TrainRun load_train_run(const std::string& path, const std::vector<std::string>& overrides) {
  config::Problems problems;
  const config::Node document = load_document(path, overrides);
  auto run = read_run<TrainRun>(document, problems);
  Augmentation(run.train.augment, problems);
  for (std::size_t i = 0; i < run.stages.size(); ++i)
    run.resolved_stages.push_back(
        resolve_stage(document, run, i, i == 0 ? "" : run.resolved_stages.back().output, problems));
  for (const TrainRun& stage : run.resolved_stages) Augmentation(stage.train.augment, problems);
  problems.throw_if_any();
  return run;
}

EvaluateRun load_evaluate_run(const std::string& path, const std::vector<std::string>& overrides) {
  config::Problems problems;
  auto run = read_run<EvaluateRun>(load_document(path, overrides), problems);
  problems.throw_if_any();
  return run;
}

}  // namespace capstan::app
