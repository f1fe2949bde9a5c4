// What a model folder holds and what running it takes, for `capstan inspect`.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "capstan/models/gpt2.h"
#include "capstan/models/vision.h"

namespace capstan {

// Floating-point operations of the matrix products alone, two per multiply-add; normalisations, activations and
// softmax are left out, as every published count does.
struct EncoderCost {
  std::int64_t tokens = 0;  // S
  double flops = 0;         // per picture
};
struct DecoderCost {
  double cross_flops = 0;         // per picture: keys and values of S image tokens in every block
  double token_flops = 0;         // per token, without lm_head: token_flops + length * flops_per_position,
  double flops_per_position = 0;  // where length counts the tokens so far, the new one too
  double head_flops = 0;          // per token: lm_head
  double cache_values = 0;        // numbers in the keys and values of n_positions tokens
  double cross_cache_values = 0;  // and in those of S image tokens
};

EncoderCost encoder_cost(const VisionConfig& config);
// `image_tokens` is 0 for a decoder that sees no picture.
DecoderCost decoder_cost(const Gpt2Config& config, std::int64_t image_tokens);
// enc_to_dec_proj, per picture; 0 where the widths are equal.
double projection_flops(const VisionConfig& encoder, const Gpt2Config& decoder);

// A folder's parameters, memory, cost, and how its weights fit its configuration, from headers and config.json alone:
// no weight is read. A whole captioner, an encoder or a decoder; of other folders the parameters only.
// CheckpointError when there are no weights or their headers are damaged.
nlohmann::ordered_json model_facts(const std::filesystem::path& directory);

// The same for people: a table of parameters (blocks of the same shape folded into one line), sums, memory and cost.
std::string describe_model(const std::filesystem::path& directory);

}  // namespace capstan
