// capstan train: a cache to a captioner.
#include <fmt/format.h>

#include <iostream>

#include "capstan/app/build.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "capstan/parallel/launch.h"
#include "commands.h"

namespace capstan::cli {
namespace {

int run(const Arguments& arguments) {
  const auto run = app::load_train_run(arguments.config(), arguments.overrides);
  if (arguments.dump_config) {
    std::cout << config::to_yaml(run, true);
    return 0;
  }
  const int processes = app::processes_to_start(run);
  if (processes > 1 && !arguments.dry_run)
    return launch_workers(processes, arguments.words, {.threads = run.num_threads});
  const TrainResult result = app::run_train(run, arguments.dry_run);
  if (arguments.dry_run) return 0;
  if (const auto world = world_environment(); world && world->rank > 0) return result.stopped ? stop_exit_code() : 0;
  const std::string best = result.best_metric ? fmt::format(", best {} {:.4f} in {}", run.train.metric_for_best_model,
                                                            *result.best_metric, result.best_checkpoint.string())
                                              : "";
  const std::string how = result.stopped ? "stopped" : result.ended.empty() ? "done" : "ended by " + result.ended;
  std::cout << fmt::format("{} at step {} after {} ({:.1f} samples/s){}\n{}\n", how, result.step,
                           human_duration(result.seconds), result.samples_per_second, best, result.checkpoint.string());
  return result.stopped ? stop_exit_code() : 0;
}

}  // namespace

Command train_command() {
  return {.name = "train",
          .summary = "Train a captioner on a cache; run again to continue.",
          .paths = "CONFIG.yaml",
          .max_paths = 1,
          .is_run = true,
          .example = "capstan train configs/train/scenes.yaml train.learning_rate=5e-4",
          .run = run};
}

}  // namespace capstan::cli
