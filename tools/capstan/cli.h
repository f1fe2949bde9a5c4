// What a command is to the command line.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace capstan::cli {

struct Arguments {
  std::vector<std::string> paths;      // in order; of a run the first is its YAML file
  std::vector<std::string> overrides;  // key.path=value
  bool dump_config = false;
  bool dry_run = false;
  std::vector<char*> words;  // the whole command line, for a command that starts the program again

  std::string config() const { return paths.empty() ? "" : paths.front(); }
};

struct Command {
  std::string name;
  std::string summary;
  std::string paths;    // what the positional arguments are: "CONFIG.yaml", "MODEL_DIR IMAGE..."
  int min_paths = 0;    // UsageError below
  int max_paths = 0;    // -1: any number
  bool is_run = false;  // takes --dump-config and --dry-run
  std::string options;  // table of keys, for --help
  std::string example;
  std::function<int(const Arguments&)> run;
};

// Parses the command line and carries the command out. Returns the exit code; errors are thrown.
int run_program(int argc, char** argv, const std::vector<Command>& commands);

// The keys of a file-level command, one a line: "  json=false   One JSON object a line."
template <class Options>
std::string describe_options();

}  // namespace capstan::cli

#include "cli_options.h"
