// capstan prepare: data sets to a cache of HDF5 shards.
#include <fmt/format.h>

#include <iostream>

#include "capstan/app/build.h"
#include "capstan/core/strings.h"
#include "commands.h"

namespace capstan::cli {
namespace {

int run(const Arguments& arguments) {
  const auto run = app::load_prepare_run(arguments.config(), arguments.overrides);
  if (arguments.dump_config) {
    std::cout << config::to_yaml(run, true);
    return 0;
  }
  const PrepareSummary summary = app::run_prepare(run, arguments.dry_run);
  if (arguments.dry_run) return 0;
  for (const auto& [split, count] : summary.images)
    std::cout << fmt::format("{}: {} images, {} captions\n", split, count, summary.captions.at(split));
  const auto see = [&](std::int64_t count, const char* file) {
    return count > 0 ? fmt::format(" (see {}/{})", run.output, file) : "";
  };
  const std::string work =
      summary.images_per_second == 0
          ? "all of it there before"
          : fmt::format("written in {}, {:.0f} images/s", human_duration(summary.seconds), summary.images_per_second);
  std::cout << fmt::format("{}, {}; {} not taken{}; {} worth a look{}\n{}\n", human_bytes(summary.bytes), work,
                           summary.errors, see(summary.errors, "errors.jsonl"), summary.notes,
                           see(summary.notes, "notes.jsonl"), run.output);
  return 0;
}

}  // namespace

Command prepare_command() {
  return {.name = "prepare",
          .summary = "Decode, resize and tokenise data sets once, into a cache.",
          .paths = "CONFIG.yaml",
          .max_paths = 1,
          .is_run = true,
          .example = "capstan prepare configs/data/scenes.yaml output=data/my-scenes",
          .run = run};
}

}  // namespace capstan::cli
