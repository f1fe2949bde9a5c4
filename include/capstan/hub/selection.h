// Which files of a repository are fetched.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace capstan::hub {

struct Selection {
  std::vector<std::string> names;  // in the order of the repository
  std::string warning;             // "" or why the result may not be what was meant
};

// What Capstan reads of a model: configuration, tokenizer, preprocessing, and the weights in one format: safetensors
// (single or sharded, adapters too), else pytorch_model.bin. Of a data set (`everything`): all files.
// `include` patterns take the place of that choice; `exclude` patterns are taken away from either.
// DataError when nothing is left; it names what the repository holds.
Selection select_files(std::span<const std::string> names, bool everything, std::span<const std::string> include,
                       std::span<const std::string> exclude, const std::string& where);

}  // namespace capstan::hub
