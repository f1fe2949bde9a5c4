// Generation command of the probe that the Python tests drive:
//   generate MODEL_DIR IN.safetensors OUT.safetensors
// IN holds "pixel_values" (float32 [B, C, H, W]) and "max_new_tokens" (int64 [1]); OUT gets "ids" (int64 [B, T]), the
// captions without start and end token, rows filled up with -1.
#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/generate/decode.h"
#include "capstan/models/pretrained.h"
#include "support/probe_commands.h"

int probe_generate(int argc, char** argv) {
  using namespace capstan;
  if (argc != 5 || std::string_view(argv[1]) != "generate") return -1;
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
  return 0;
}
