// capstan fetch: models and data sets from where they are published.
#include "capstan/hub/fetch.h"

#include <iostream>

#include "capstan/core/strings.h"
#include "capstan/hub/datasets.h"
#include "commands.h"

namespace capstan::cli {
namespace {

// include=*.json,*.txt is a list as well: a lone '*' means something else in YAML.
std::string as_list(const std::string& text) {
  for (const char* const key : {"include=", "exclude=", "split="}) {
    const std::string begin = key;
    if (!text.starts_with(begin) || text.substr(begin.size()).starts_with("[")) continue;
    std::vector<std::string> quoted;
    for (const auto& item : split(text.substr(begin.size()), ',')) {
      std::string safe;
      for (const char c : item) safe += c == '\'' ? "''" : std::string(1, c);
      quoted.push_back("'" + safe + "'");
    }
    return begin + "[" + join(quoted, ", ") + "]";
  }
  return text;
}

int run(const Arguments& arguments) {
  std::vector<std::string> overrides;
  for (const auto& text : arguments.overrides) overrides.push_back(as_list(text));
  const auto options = load_options<hub::FetchOptions>(overrides);
  std::cout << hub::fetch(arguments.paths.front(), options).folder.string() << "\n";
  return 0;
}

}  // namespace

Command fetch_command() {
  return {.name = "fetch",
          .summary =
              "Download a model or data set; prints its folder. Data sets: " + join(hub::dataset_names(), ", ") + ".",
          .paths = "REPO_OR_DATASET",
          .min_paths = 1,
          .max_paths = 1,
          .options = describe_options<hub::FetchOptions>(),
          .example =
              "capstan fetch google/vit-base-patch16-224-in21k to=checkpoints/vit\n"
              "  capstan fetch coco split=annotations,validation",
          .run = run};
}

}  // namespace capstan::cli
