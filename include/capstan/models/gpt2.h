// GPT-2 (Radford et al., 2019) with cross-attention, names and numerics of transformers' GPT2LMHeadModel.
// Shapes: B batch, T text tokens, P tokens before them (cache), S image tokens, D hidden size, V vocabulary,
// N heads, K head size.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/nn/tied_embedding.h"

namespace capstan {

// Names of transformers' GPT2Config; the defaults are DistilGPT2's shape.
struct Gpt2Config {
  int vocab_size = 50257;
  int n_positions = 1024;
  int n_embd = 768;
  int n_layer = 6;
  int n_head = 12;
  int n_inner = 0;  // 0: 4 * n_embd (null in config.json)
  std::string activation_function = "gelu_new";
  double resid_pdrop = 0.1;
  double embd_pdrop = 0.1;
  double attn_pdrop = 0.1;
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;
  bool add_cross_attention = true;
  bool tie_word_embeddings = true;
  bool scale_attn_weights = true;
  bool scale_attn_by_inverse_layer_idx = false;
  bool reorder_and_upcast_attn = false;
  // How the model is run; not part of config.json.
  double drop_path_rate = 0.0;
  std::string attn_implementation = "sdpa";

  template <class Visitor>
  void fields(Visitor& v) {
    architecture(v);
    v("drop_path_rate", drop_path_rate,
      "Stochastic depth: how often the last block is skipped in training, per text; less for earlier ones.",
      between(0, 0.99));
    v("attn_implementation", attn_implementation, "Attention by fused kernels (sdpa) or written out (eager).",
      one_of({"sdpa", "eager"}));
  }
  // What config.json holds of it.
  template <class Visitor>
  void architecture(Visitor& v) {
    v("vocab_size", vocab_size, "Number of token ids.", between(1, 10'000'000));
    v("n_positions", n_positions, "Longest text, in tokens.", between(1, 1'000'000));
    v("n_embd", n_embd, "Width of the decoder.", between(1, 65536));
    v("n_layer", n_layer, "Number of decoder blocks.", between(1, 1000));
    v("n_head", n_head, "Attention heads; must divide n_embd.", between(1, 1024));
    v("n_inner", n_inner, "Width of the feed-forward layer; 0 means 4 * n_embd.", at_least(0));
    v("activation_function", activation_function, "Activation of the feed-forward layer.",
      one_of({"gelu_new", "gelu", "gelu_pytorch_tanh", "relu", "silu", "tanh"}));
    v("resid_pdrop", resid_pdrop, "Dropout after sub-layers.", between(0, 1));
    v("embd_pdrop", embd_pdrop, "Dropout of embeddings.", between(0, 1));
    v("attn_pdrop", attn_pdrop, "Dropout of attention weights.", between(0, 1));
    v("layer_norm_epsilon", layer_norm_epsilon, "Added to the variance in layer normalisation.", above(0));
    v("initializer_range", initializer_range, "Standard deviation of fresh weights.", above(0));
    v("add_cross_attention", add_cross_attention, "Whether each block attends to the picture.");
    v("tie_word_embeddings", tie_word_embeddings, "Whether lm_head shares the token embedding.");
    v("scale_attn_weights", scale_attn_weights, "Divide attention scores by the root of the head size.");
    v("scale_attn_by_inverse_layer_idx", scale_attn_by_inverse_layer_idx,
      "Divide them by the number of the block too, from 1.");
    v("reorder_and_upcast_attn", reorder_and_upcast_attn, "Compute scores and softmax in float32 under bf16.");
  }
  void check(std::vector<std::string>& problems) const;
};

// Keys and values of the tokens seen so far; cross-attention keys and values are computed once per picture.
// The self-attention buffers [B, N, capacity, K] are allocated by the first call and filled in place, so a cache is
// for use without gradients. One cache belongs to one batch of texts at a time.
struct Gpt2Cache {
  std::int64_t length = 0;                           // tokens already inside
  std::int64_t capacity = 0;                         // set before the first call: most tokens that will be fed
  std::vector<at::Tensor> keys, values;              // per layer [B, N, capacity, K]
  std::vector<at::Tensor> cross_keys, cross_values;  // per layer [B, N, S, K]
};

class Gpt2Block;

// Weights are zeros until they are loaded or initialised. Parameters carry transformers' names
// ("transformer.wte.weight", "transformer.h.0.crossattention.q_attn.weight", "lm_head.weight"); linear weights are
// stored [in, out] as its Conv1D does.
class Gpt2 : public torch::nn::Module {
 public:
  explicit Gpt2(const Gpt2Config& config);
  // input_ids int64 [B, T] -> hidden states after ln_f [B, T, D]. With `cache`, positions start at cache->length,
  // which grows by T. `encoder_hidden_BSD` may be of fewer pictures, P with B a multiple of P: those texts that share
  // a picture then stand beside each other. It may be undefined when there is no cross-attention or the cache holds it;
  // where neither is so, the blocks leave their cross-attention out, as transformers does.
  // Ids must lie in the vocabulary. DataError when the text does not fit n_positions.
  at::Tensor forward(const at::Tensor& input_ids_BT, const at::Tensor& encoder_hidden_BSD, Gpt2Cache* cache = nullptr);
  at::Tensor lm_head(const at::Tensor& hidden);  // [..., D] -> [..., V]
  const at::Tensor& lm_head_weight() const;      // [V, D]; the token embedding where they are tied
  // In training without a cache, keep only each block's inputs and compute the block again for the gradients.
  void set_gradient_checkpointing(bool on) { gradient_checkpointing_ = on; }
  // Share of the gradient that reaches the token embeddings from the input side; 1 is all of it (GLM-130B, Zeng et al.,
  // 2022, found a tenth to keep training stable).
  void set_embedding_gradient_shrink(double share) { embedding_gradient_shrink_ = share; }
  void set_drop_path_rate(double rate);
  void set_attn_implementation(std::string_view name);  // "sdpa" or "eager"; reorder_and_upcast_attn is always eager
  const Gpt2Config& config() const { return config_; }

 private:
  Gpt2Config config_;
  bool gradient_checkpointing_ = false;
  double embedding_gradient_shrink_ = 1;
  at::Tensor wte_;             // [V, D]
  at::Tensor wpe_;             // [n_positions, D]
  at::Tensor lm_head_weight_;  // [V, D]; undefined when tied to wte
  TiedEmbedding tied_embedding_;
  std::vector<std::shared_ptr<Gpt2Block>> blocks_;
  torch::nn::LayerNorm ln_f_{nullptr};
};

// A decoder alone: the folder of a GPT2LMHeadModel or GPT2Model, in float32. Mask buffers of old files are skipped and
// a head beside tied embeddings must equal them. CheckpointError lists what is missing, unexpected or of another shape.
std::shared_ptr<Gpt2> load_gpt2(const std::filesystem::path& directory);
// config.json and model.safetensors as GPT2LMHeadModel.save_pretrained writes them.
void save_gpt2(const Gpt2& model, const std::filesystem::path& directory);

}  // namespace capstan
