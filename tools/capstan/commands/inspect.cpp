// capstan inspect: what a path holds.
#include <iostream>

#include "capstan/app/build.h"
#include "capstan/core/error.h"
#include "capstan/data/inspect.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct InspectCommandOptions {
  bool verify = false;
  bool json = false;
  std::string sheet;
  std::string split;
  std::int64_t samples = 24;
  std::int64_t seed = 0;

  template <class Visitor>
  void fields(Visitor& v) {
    v("verify", verify, "Also recompute the checksums of a cache or checkpoint.");
    v("json", json, "Print a model's parameters, memory and cost as JSON.");
    v("sheet", sheet, "Write a contact sheet of a cache, pictures with captions, to this .png or .html file.");
    v("split", split, "Split that the sheet shows; empty means the first.");
    v("samples", samples, "Pictures on the sheet.", between(1, 10000));
    v("seed", seed, "Another seed puts other pictures on the sheet.", at_least(0));
  }
};

int run(const Arguments& arguments) {
  const auto options = load_options<InspectCommandOptions>(arguments.overrides);
  const std::string& path = arguments.paths.front();
  std::cout << (options.json ? app::inspect_json(path) : app::inspect(path));
  if (!options.sheet.empty()) {
    write_contact_sheet(
        path, {.file = options.sheet, .split = options.split, .samples = options.samples, .seed = options.seed});
    std::cout << options.sheet << "\n";
  }
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
          .example = "capstan inspect data/scenes verify=true sheet=scenes.html",
          .run = run};
}

}  // namespace capstan::cli
