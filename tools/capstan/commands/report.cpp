// capstan report: report.html of a run, written anew.
#include "capstan/report/run_report.h"

#include <iostream>

#include "capstan/core/error.h"
#include "commands.h"

namespace capstan::cli {
namespace {

int run(const Arguments& arguments) {
  if (!arguments.overrides.empty())
    throw UsageError("capstan report: found '" + arguments.overrides.front() + "', but it takes a run's folder only");
  std::cout << write_report(arguments.paths.front()).string() << "\n";
  return 0;
}

}  // namespace

Command report_command() {
  return {.name = "report",
          .summary = "Write report.html of a run anew: curves, scores, captions, configuration.",
          .paths = "RUN",
          .min_paths = 1,
          .max_paths = 1,
          .options = "",
          .example = "capstan report checkpoints/scenes",
          .run = run};
}

}  // namespace capstan::cli
