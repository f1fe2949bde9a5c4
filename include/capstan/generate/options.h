// How captions are drawn from a model, by the names of transformers' GenerationConfig.
#pragma once
#include <cstdint>
#include <filesystem>

#include "capstan/core/fields.h"

namespace capstan {

struct GenerationConfig {
  int max_new_tokens = 32;
  std::int64_t decoder_start_token_id = 50256;
  std::int64_t eos_token_id = 50256;
  std::int64_t pad_token_id = 50256;
  std::int64_t bos_token_id = 50256;  // not used here; other programs want it in generation_config.json

  // The token ids belong to the model and are not set by hand.
  template <class Visitor>
  void fields(Visitor& v) {
    v("max_new_tokens", max_new_tokens, "Longest caption, in tokens after the start token.", between(1, 4096));
  }
};

// generation_config.json over config.json of a model folder. max_length there counts the start token, and
// max_new_tokens wins over it; without either, 20 new tokens, as transformers does. Settings that greedy search does
// not carry out (beams, penalties) are named in a warning. CheckpointError for a value of a wrong type or range.
GenerationConfig read_generation_config(const std::filesystem::path& directory);

// generation_config.json for transformers, optimum and Transformers.js, with max_length = max_new_tokens + 1.
void save_generation_config(const GenerationConfig& config, const std::filesystem::path& directory);

}  // namespace capstan
