// Generation commands of the probe that the Python tests drive:
//   generate MODEL_DIR IN.safetensors OUT.safetensors
//     IN holds "pixel_values" (float32 [B, C, H, W]) and "max_new_tokens" (int64 [1]); OUT gets "ids" (int64 [B, T]),
//     the captions without start and end token, rows filled up with -1.
//   generate_matrix MODEL_DIR IN.safetensors REQUESTS.json OUT.json
//     REQUESTS is a list of {"options": {...}, "max_rows": 24, "seeds": 1}: keys of generation_config.json, the rows of
//     the engine, and for how many seeds (0, 1, ...) to draw. OUT gets, for each request and seed, for each picture,
//     a list of {"ids": [...], "score": x}.
#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/json.h"
#include "capstan/generate/decode.h"
#include "capstan/generate/generator.h"
#include "capstan/models/pretrained.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

void generate_one(char** argv) {
  const TensorMap input = read_safetensors(argv[3]);
  const auto model = load_pretrained(argv[2]);
  GenerationConfig options = read_generation_config(argv[2]);
  options.max_new_tokens = static_cast<int>(input.at("max_new_tokens").item<std::int64_t>());
  const auto captions = generate(*model, input.at("pixel_values"), options);

  std::size_t longest = 1;
  for (const auto& ids : captions) longest = std::max(longest, ids.size());
  at::Tensor ids_BT =
      at::full({static_cast<std::int64_t>(captions.size()), static_cast<std::int64_t>(longest)}, -1, at::kLong);
  for (std::size_t row = 0; row < captions.size(); ++row)
    for (std::size_t i = 0; i < captions[row].size(); ++i)
      ids_BT[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(i)] = captions[row][i];
  write_safetensors(argv[4], {{"ids", ids_BT}});
}

nlohmann::json as_json(const std::vector<std::vector<Candidate>>& pictures) {
  nlohmann::json result = nlohmann::json::array();
  for (const auto& candidates : pictures) {
    result.emplace_back(nlohmann::json::array());
    for (const auto& candidate : candidates)
      result.back().push_back(nlohmann::json{{"ids", candidate.ids}, {"score", candidate.score}});
  }
  return result;
}

void generate_matrix(char** argv) {
  const at::Tensor pixel_values = read_safetensors(argv[3]).at("pixel_values");
  const auto model = load_pretrained(argv[2]);
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const auto& request : read_json(argv[4])) {
    GenerationConfig options = read_generation_config(argv[2]);
    merge_generation_config(options, request.at("options"), argv[4]);
    const auto tokenizer = options.stop_strings.empty() ? nullptr : load_tokenizer(argv[2]);
    for (std::int64_t seed = 0; seed < request.value("seeds", 1); ++seed) {
      options.seed = seed;
      EngineOptions engine;
      engine.max_rows = request.value("max_rows", 64);
      results.emplace_back(as_json(generate_candidates(*model, pixel_values, options, tokenizer, engine)));
    }
  }
  write_json(argv[5], results);
}

}  // namespace

int probe_generate(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (argc == 5 && command == "generate") return generate_one(argv), 0;
  if (argc == 6 && command == "generate_matrix") return generate_matrix(argv), 0;
  return -1;
}
