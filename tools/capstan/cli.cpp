// The command line: CLI11 finds the command and its arguments; everything else is key=value.
#include "cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "capstan/core/error.h"
#include "capstan/core/version.h"

namespace capstan::cli {
namespace {

// "key.path=value", unless a file of that very name exists.
bool is_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || std::filesystem::exists(text)) return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == equals;
}

void sort_arguments(const std::vector<std::string>& words, Arguments& arguments) {
  for (const auto& word : words) (is_override(word) ? arguments.overrides : arguments.paths).push_back(word);
}

void check_count(const Command& command, const Arguments& arguments) {
  const int count = static_cast<int>(arguments.paths.size());
  if (count < command.min_paths)
    throw UsageError(fmt::format("capstan {}: expected {}, found {} of them; see capstan {} --help", command.name,
                                 command.paths, count, command.name));
  if (command.max_paths >= 0 && count > command.max_paths)
    throw UsageError(fmt::format("capstan {}: '{}' is neither {} nor key=value; see capstan {} --help", command.name,
                                 arguments.paths[static_cast<std::size_t>(command.max_paths)],
                                 command.max_paths == 0 ? "expected here" : command.paths, command.name));
}

std::string footer_of(const Command& command) {
  std::string text;
  if (!command.options.empty()) text += "Keys and their defaults (key=value):\n" + command.options + "\n";
  if (command.is_run) text += "Every key: docs/configuration.md, or --dump-config.\n\n";
  return text + "Example:\n  " + command.example + "\n";
}

}  // namespace

int run_program(int argc, char** argv, const std::vector<Command>& commands) {
  CLI::App app("Capstan " + version() + ": small vision-language models on LibTorch, from pictures to captions.",
               "capstan");
  app.set_version_flag("--version", "capstan " + version() + " (LibTorch " + torch_version() + ")");
  app.require_subcommand(1);
  app.footer(
      "Example:\n  capstan prepare configs/data/scenes.yaml && capstan train configs/train/scenes.yaml\n"
      "Help on a command: capstan COMMAND --help");
  Arguments arguments;
  arguments.words.assign(argv, argv + argc);
  std::vector<std::string> words;
  for (const auto& command : commands) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    sub->add_option("arguments", words, command.paths + (command.paths.empty() ? "" : " ") + "[key=value...]");
    if (command.is_run) {
      sub->add_flag("--dump-config", arguments.dump_config, "Print the resolved configuration and stop.");
      sub->add_flag("--dry-run", arguments.dry_run, "Check every input, say what would be done, write nothing.");
    }
    sub->footer(footer_of(command));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  sort_arguments(words, arguments);
  const std::string name = app.get_subcommands().front()->get_name();
  for (const auto& command : commands) {
    if (command.name != name) continue;
    check_count(command, arguments);
    return command.run(arguments);
  }
  return 2;
}

}  // namespace capstan::cli
