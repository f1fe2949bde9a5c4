// capstan compare: two runs side by side.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "capstan/report/compare.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct CompareCommandOptions {
  int width = 0;

  template <class Visitor>
  void fields(Visitor& v) {
    v("width", width, "Columns of the text; 0 means those of the terminal, 100 where there is none.", between(0, 1000));
  }
};

int terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? std::clamp<int>(size.ws_col, 60, 200)
                                                                           : 100;
}

int run(const Arguments& arguments) {
  const auto options = load_options<CompareCommandOptions>(arguments.overrides);
  std::cout << compare_runs(arguments.paths[0], arguments.paths[1],
                            options.width > 0 ? options.width : terminal_width());
  return 0;
}

}  // namespace

Command compare_command() {
  return {.name = "compare",
          .summary = "Put two runs side by side: scores, loss curves, speed, configuration.",
          .paths = "RUN RUN",
          .min_paths = 2,
          .max_paths = 2,
          .options = describe_options<CompareCommandOptions>(),
          .example = "capstan compare checkpoints/scenes checkpoints/scenes_bf16",
          .run = run};
}

}  // namespace capstan::cli
