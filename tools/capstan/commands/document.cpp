// capstan document: the reference of every configuration key, made from the code.
#include <iostream>

#include "capstan/app/catalog.h"
#include "capstan/core/files.h"
#include "commands.h"

namespace capstan::cli {

Command document_command() {
  return {.name = "document",
          .summary = "Print the reference of every configuration key, or write it to a file.",
          .paths = "[FILE.md]",
          .max_paths = 1,
          .example = "capstan document docs/configuration.md",
          .run = [](const Arguments& arguments) {
            if (arguments.paths.empty())
              std::cout << app::configuration_reference();
            else
              write_file_atomic(arguments.paths.front(), app::configuration_reference());
            return 0;
          }};
}

}  // namespace capstan::cli
