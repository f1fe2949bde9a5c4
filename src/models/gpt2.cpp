// The language decoder: embeddings, blocks, and the head over the vocabulary.
#include "capstan/models/gpt2.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "capstan/models/registry.h"
#include "capstan/nn/drop_path.h"
#include "capstan/nn/placeholder.h"
#include "capstan/nn/recompute.h"
#include "capstan/nn/scope.h"
#include "models/gpt2_block.h"

namespace capstan {

ModelEntry gpt2_model() {
  return {.name = "gpt2",
          .summary = "GPT-2 language decoder with or without cross-attention (transformers' GPT2LMHeadModel)"};
}

namespace {

void prepare(Gpt2Cache& cache, std::size_t num_layers, std::int64_t num_new) {
  if (cache.keys.empty()) {
    cache.keys.resize(num_layers);
    cache.values.resize(num_layers);
  }
  if (cache.cross_keys.empty()) {
    cache.cross_keys.resize(num_layers);
    cache.cross_values.resize(num_layers);
  }
  CAPSTAN_ASSERT(cache.length + num_new <= cache.capacity);
}

}  // namespace

void Gpt2Config::check(std::vector<std::string>& problems) const {
  if (n_head < 1 || n_embd % n_head != 0)
    problems.push_back(fmt::format("n_embd {} is not a multiple of n_head {}", n_embd, n_head));
}

Gpt2::Gpt2(const Gpt2Config& config) : config_(config) {
  wte_ = scope(*this, "transformer.wte").register_parameter("weight", new_weight({config.vocab_size, config.n_embd}));
  wpe_ = scope(*this, "transformer.wpe").register_parameter("weight", new_weight({config.n_positions, config.n_embd}));
  for (int i = 0; i < config.n_layer; ++i)
    blocks_.push_back(
        scope(*this, "transformer.h")
            .register_module(std::to_string(i), std::make_shared<Gpt2Block>(config, static_cast<std::size_t>(i))));
  const auto norm = torch::nn::LayerNormOptions({config.n_embd}).eps(config.layer_norm_epsilon);
  ln_f_ = scope(*this, "transformer").register_module("ln_f", torch::nn::LayerNorm(norm));
  if (!config.tie_word_embeddings)
    lm_head_weight_ =
        scope(*this, "lm_head").register_parameter("weight", new_weight({config.vocab_size, config.n_embd}));
  set_drop_path_rate(config.drop_path_rate);
  set_attn_implementation(config.attn_implementation);
}

void Gpt2::set_drop_path_rate(double rate) {
  config_.drop_path_rate = rate;
  const auto count = static_cast<std::int64_t>(blocks_.size());
  for (std::int64_t i = 0; i < count; ++i)
    blocks_[static_cast<std::size_t>(i)]->drop_path_rate = drop_path_rate_of(rate, i, count);
}

void Gpt2::set_attn_implementation(std::string_view name) {
  const AttentionKernel kernel = parse_attention(name);
  config_.attn_implementation = name;
  for (const auto& block : blocks_) block->set_attention_kernel(kernel);
}

at::Tensor Gpt2::forward(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD, Gpt2Cache* cache) {
  const std::int64_t num_new = input_ids_BT.size(1);
  const std::int64_t num_past = cache != nullptr ? cache->length : 0;
  if (num_past + num_new > config_.n_positions)
    throw DataError(
        fmt::format("a text of {} tokens does not fit the model, whose n_positions is {}; "
                    "shorten the text or lower the longest length.",
                    num_past + num_new, config_.n_positions));
  if (cache != nullptr) prepare(*cache, blocks_.size(), num_new);

  const at::Tensor positions_TD = wpe_.narrow(0, num_past, num_new);
  const at::Tensor embedded_BTD =
      config_.tie_word_embeddings ? tied_embedding_.forward(wte_, input_ids_BT) : at::embedding(wte_, input_ids_BT);
  if (embedding_gradient_shrink_ != 1 && embedded_BTD.requires_grad())
    embedded_BTD.register_hook(
        [share = embedding_gradient_shrink_](const at::Tensor& gradient) { return gradient * share; });
  at::Tensor x_BTD = embedded_BTD + positions_TD;
  x_BTD = at::dropout(x_BTD, config_.embd_pdrop, is_training());
  const AttentionMask mask = causal_mask(num_new, num_past, x_BTD.device());
  const bool recomputes = gradient_checkpointing_ && cache == nullptr && is_training() && at::GradMode::is_enabled();
  for (const auto& block : blocks_) {
    if (!recomputes) {
      x_BTD = block->forward(x_BTD, encoder_hidden_BSD, mask, cache);
      continue;
    }
    const auto again = [block, mask](const std::vector<at::Tensor>& in) {
      return block->forward(in[0], in[1], mask, nullptr);
    };
    x_BTD = recompute(again, {x_BTD, encoder_hidden_BSD});
  }
  if (cache != nullptr) cache->length += num_new;
  return ln_f_->forward(x_BTD);
}

at::Tensor Gpt2::lm_head(const at::Tensor& hidden) { return at::linear(hidden, lm_head_weight()); }

const at::Tensor& Gpt2::lm_head_weight() const { return config_.tie_word_embeddings ? wte_ : lm_head_weight_; }

}  // namespace capstan
