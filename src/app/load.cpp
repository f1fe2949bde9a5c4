// Runs from files, with the options of their plug-ins checked at the same time.
#include "capstan/config/load.h"
#include "capstan/app/build.h"
#include "capstan/core/error.h"
#include "capstan/image/transform.h"

namespace capstan::app {
namespace {

template <class Run>
Run read_run(const std::string& path, const std::vector<std::string>& overrides, config::Problems& problems) {
  if (path.empty() && overrides.empty())
    throw UsageError("no configuration: give a YAML file as in configs/, or key=value pairs");
  Run run;
  config::read(config::load_tree(path, overrides), run, problems);
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
  auto run = read_run<PrepareRun>(path, overrides, problems);
  make_sources(run.sources, problems);
  problems.throw_if_any();
  return run;
}

TrainRun load_train_run(const std::string& path, const std::vector<std::string>& overrides) {
  config::Problems problems;
  auto run = read_run<TrainRun>(path, overrides, problems);
  Augmentation(run.train.augment, problems);
  problems.throw_if_any();
  return run;
}

EvaluateRun load_evaluate_run(const std::string& path, const std::vector<std::string>& overrides) {
  config::Problems problems;
  auto run = read_run<EvaluateRun>(path, overrides, problems);
  problems.throw_if_any();
  return run;
}

}  // namespace capstan::app
