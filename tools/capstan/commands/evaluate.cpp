// capstan evaluate: captions of a held-out split and their scores.
#include <iostream>

#include "capstan/app/build.h"
#include "commands.h"

namespace capstan::cli {
namespace {

int run(const Arguments& arguments) {
  const auto run = app::load_evaluate_run(arguments.config(), arguments.overrides);
  if (arguments.dump_config) {
    std::cout << config::to_yaml(run, true);
    return 0;
  }
  const EvaluationReport report = app::run_evaluate(run, arguments.dry_run);
  if (!arguments.dry_run) std::cout << format_evaluation(report, run.samples);
  return 0;
}

}  // namespace

Command evaluate_command() {
  return {.name = "evaluate",
          .summary = "Caption a split and score it against its references.",
          .paths = "CONFIG.yaml",
          .max_paths = 1,
          .is_run = true,
          .example = "capstan evaluate configs/eval/scenes.yaml split=validation",
          .run = run};
}

}  // namespace capstan::cli
