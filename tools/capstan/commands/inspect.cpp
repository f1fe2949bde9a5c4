// capstan inspect: what a path holds.
#include <iostream>

#include "capstan/app/build.h"
#include "capstan/core/error.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct InspectCommandOptions {
  bool verify = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("verify", verify, "Also recompute the checksums of a cache or checkpoint.");
  }
};

int run(const Arguments& arguments) {
  const auto options = load_options<InspectCommandOptions>(arguments.overrides);
  const std::string& path = arguments.paths.front();
  std::cout << app::inspect(path);
  if (!options.verify) return 0;
  const auto problems = app::verify(path);
  for (const auto& problem : problems) std::cout << problem << "\n";
  if (!problems.empty()) throw DataError(path + ": " + std::to_string(problems.size()) + " file(s) are not as written");
  std::cout << "every file is as written\n";
  return 0;
}

}  // namespace

Command inspect_command() {
  return {.name = "inspect",
          .summary = "Explain a shard, cache, checkpoint, run, model or export.",
          .paths = "PATH",
          .min_paths = 1,
          .max_paths = 1,
          .options = describe_options<InspectCommandOptions>(),
          .example = "capstan inspect data/scenes verify=true",
          .run = run};
}

}  // namespace capstan::cli
