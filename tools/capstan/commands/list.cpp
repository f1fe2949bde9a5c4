// capstan list: every plug-in with its summary.
#include <fmt/format.h>

#include <iostream>

#include "capstan/app/catalog.h"
#include "commands.h"

namespace capstan::cli {

Command list_command() {
  return {.name = "list",
          .summary = "Name every data source, tokenizer, model, metric, optimizer, schedule and exporter.",
          .paths = "",
          .example = "capstan list",
          .run = [](const Arguments& arguments) {
            config::load_tree("", arguments.overrides);
            for (const auto& list : app::catalog()) {
              std::cout << list.kind << ":\n";
              for (const auto& entry : list.entries)
                std::cout << fmt::format("  {:<24}{}\n", entry.name, entry.summary);
            }
            return 0;
          }};
}

}  // namespace capstan::cli
