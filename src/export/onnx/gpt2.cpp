// GPT-2 with cross-attention (transformers' GPT2LMHeadModel) as one graph that runs with and without past.
//
// Legend: B batch, N heads, K head size, D width, P past used, T new tokens, L = P + T, S image tokens.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "export/onnx/models.h"
#include "export/onnx/ops.h"
#include "export/onnx/weights.h"

namespace capstan::onnx {
namespace {

constexpr const char* kPast = "past_used";
constexpr const char* kTokens = "decoder_sequence_length";
constexpr const char* kTotal = "total_sequence_length";
constexpr const char* kPresent = "past_sequence_length + sequence_length";
// Added to scores that must not count; finite, so that no row of a softmax can become NaN.
constexpr float kMasked = -1e30f;

struct PastInput {
  Value key, value;  // [B, N, past_sequence_length, K], as fed
};

// What every block needs to know about this run of the graph.
struct Step {
  Value past_length;      // int64 [1]: how much of the past counts, 0 when use_cache_branch is false
  Value mask;             // float [T, L]
  Value encoder_hidden;   // [B, S, D]
  Value encoder_columns;  // [B, D, S], for absorbed keys
};

class Decoder {
 public:
  Decoder(Graph& graph, const Gpt2Config& config, const TensorMap& state, CrossAttention cross_attention)
      : graph_(graph),
        config_(config),
        weights_(graph, state, "decoder."),
        cross_attention_(cross_attention),
        num_heads_(config.n_head),
        head_size_(config.n_embd / config.n_head),
        scale_(graph.scalar(static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_size_))))) {}

  void build() {
    const Value input_ids = graph_.input("input_ids", Type::kInt64, {"batch_size", kTokens});
    const Value encoder_hidden =
        graph_.input("encoder_hidden_states", Type::kFloat, {"batch_size", "encoder_sequence_length", config_.n_embd});
    std::vector<PastInput> past;
    const Shape past_shape{"batch_size", num_heads_, "past_sequence_length", head_size_};
    for (int i = 0; i < config_.n_layer; ++i)
      past.push_back({graph_.input(fmt::format("past_key_values.{}.key", i), Type::kFloat, past_shape),
                      graph_.input(fmt::format("past_key_values.{}.value", i), Type::kFloat, past_shape)});
    const Value use_cache = graph_.input("use_cache_branch", Type::kBool, {1});

    Value x{};
    const Step step = prepare(input_ids, encoder_hidden, past[0].key, use_cache, x);
    std::vector<PastInput> present(past.size());
    for (int i = 0; i < config_.n_layer; ++i) {
      const auto at = static_cast<std::size_t>(i);
      x = block(x, step, past[at], present[at], i);
    }
    project(x);
    const Shape present_shape{"batch_size", num_heads_, kPresent, head_size_};
    for (std::size_t i = 0; i < present.size(); ++i) {
      graph_.output(present[i].key, fmt::format("present.{}.key", i), present_shape);
      graph_.output(present[i].value, fmt::format("present.{}.value", i), present_shape);
    }
  }

 private:
  // Positions and mask from the length of the past, and the embeddings [B, T, D] into `x`.
  Step prepare(const Value& input_ids, const Value& encoder_hidden, const Value& past_key, const Value& use_cache,
               Value& x) {
    graph_.set_scope("/positions");
    const Value past_length = mul(graph_, shape_dim(graph_, past_key, 2), cast(graph_, use_cache, Type::kInt64));
    const Value total_length = add(graph_, past_length, shape_dim(graph_, input_ids, 1));
    const Value end = squeeze(graph_, total_length);
    const Value queries = range(graph_, squeeze(graph_, past_length), end, kTokens);
    const Value keys = range(graph_, graph_.scalar(std::int64_t{0}), end, kTotal);
    const Value visible = less_or_equal(graph_, unsqueeze(graph_, keys, 0), unsqueeze(graph_, queries, 1));
    const Value mask = where(graph_, visible, graph_.scalar(0.0f), graph_.scalar(kMasked));

    graph_.set_scope("/embeddings");
    const Value positions = gather(graph_, weights_.parameter("transformer.wpe.weight"), queries, 0);
    const Value tokens = config_.tie_word_embeddings
                             ? weights_.embed_tied(input_ids, "transformer.wte.weight")
                             : gather(graph_, weights_.parameter("transformer.wte.weight"), input_ids, 0);
    x = add(graph_, tokens, positions);

    Step step{past_length, mask, encoder_hidden, {}};
    if (cross_attention_ == CrossAttention::kAbsorb)
      step.encoder_columns = transpose(graph_, encoder_hidden, {0, 2, 1});
    return step;
  }

  Value block(const Value& x, const Step& step, const PastInput& past, PastInput& present, int index) {
    const std::string layer = fmt::format("transformer.h.{}", index);
    const double epsilon = config_.layer_norm_epsilon;
    graph_.set_scope(fmt::format("/h.{}/attn", index));
    const Value attended =
        add(graph_, self_attention(weights_.layer_norm(x, layer + ".ln_1", epsilon), step, past, present, layer), x);
    graph_.set_scope(fmt::format("/h.{}/crossattention", index));
    const Value normed = weights_.layer_norm(attended, layer + ".ln_cross_attn", epsilon);
    const Value looked = add(graph_, attended,
                             cross_attention_ == CrossAttention::kAbsorb
                                 ? absorbed_cross_attention(normed, step, layer + ".crossattention")
                                 : plain_cross_attention(normed, step, layer + ".crossattention"));
    graph_.set_scope(fmt::format("/h.{}/mlp", index));
    const Value inner = weights_.conv1d(weights_.layer_norm(looked, layer + ".ln_2", epsilon), layer + ".mlp.c_fc");
    const Value active = activation(graph_, config_.activation_function, inner);
    return add(graph_, looked, weights_.conv1d(active, layer + ".mlp.c_proj"));
  }

  // [B, T, D] -> [B, N, T, K]
  Value split_heads(const Value& x) {
    return transpose(graph_, reshape(graph_, x, {0, 0, num_heads_, head_size_}), {0, 2, 1, 3});
  }
  // [B, N, T, K] -> [B, T, D]
  Value merge_heads(const Value& x) {
    return reshape(graph_, transpose(graph_, x, {0, 2, 1, 3}), {0, 0, config_.n_embd});
  }

  Value self_attention(const Value& x, const Step& step, const PastInput& past, PastInput& present,
                       const std::string& layer) {
    const std::vector<Value> qkv = split(graph_, weights_.conv1d(x, layer + ".attn.c_attn"), 3);
    const Value query = split_heads(mul(graph_, qkv[0], scale_));
    present.key = extend(past.key, split_heads(qkv[1]), step);
    present.value = extend(past.value, split_heads(qkv[2]), step);
    const Value scores = matmul(graph_, query, transpose(graph_, present.key, {0, 1, 3, 2}));
    const Value attention = softmax(graph_, add(graph_, scores, step.mask));
    return weights_.conv1d(merge_heads(matmul(graph_, attention, present.value)), layer + ".attn.c_proj");
  }

  // The part of the past that counts, then the new tokens.
  Value extend(const Value& past, const Value& fresh, const Step& step) {
    return concat(graph_, {slice_to(graph_, past, step.past_length, 2, kPast), fresh}, 2, kTotal);
  }

  Value plain_cross_attention(const Value& x, const Step& step, const std::string& layer) {
    const Value query = split_heads(mul(graph_, weights_.conv1d(x, layer + ".q_attn"), scale_));
    const std::vector<Value> kv = split(graph_, weights_.conv1d(step.encoder_hidden, layer + ".c_attn"), 2);
    const Value scores = matmul(graph_, query, transpose(graph_, split_heads(kv[0]), {0, 1, 3, 2}));
    const Value mixed = matmul(graph_, softmax(graph_, scores), split_heads(kv[1]));
    return weights_.conv1d(merge_heads(mixed), layer + ".c_proj");
  }

  // q (H Wk + bk)^T = (q Wk^T) H^T + q bk^T, and the last term is the same for every image token of a row, so the
  // softmax drops it. A (H Wv + bv) = (A H) Wv + bv, because the rows of A sum to one. Thus the S image tokens are
  // never projected: per step the work is N D K instead of S D D.
  Value absorbed_cross_attention(const Value& x, const Step& step, const std::string& layer) {
    const std::int64_t width = config_.n_embd;
    const at::Tensor weight_DNK = weights_.tensor(layer + ".c_attn.weight").view({width, 2 * num_heads_, head_size_});
    const at::Tensor key_NKD = weight_DNK.narrow(1, 0, num_heads_).permute({1, 2, 0});
    const at::Tensor value_NDK = weight_DNK.narrow(1, num_heads_, num_heads_).permute({1, 0, 2});

    const Value query = split_heads(mul(graph_, weights_.conv1d(x, layer + ".q_attn"), scale_));
    const Value looking = weights_.matmul(query, layer + ".c_attn.weight.key", key_NKD);  // [B, N, T, D]
    const Value scores = matmul(graph_, reshape(graph_, looking, {0, -1, width}), step.encoder_columns);
    const Value seen = matmul(graph_, softmax(graph_, scores), step.encoder_hidden);  // [B, N * T, D]
    const Value heads = reshape(graph_, seen, {0, num_heads_, -1, width});
    const Value mixed = merge_heads(weights_.matmul(heads, layer + ".c_attn.weight.value", value_NDK));
    const at::Tensor value_bias = weights_.tensor(layer + ".c_attn.bias").narrow(0, width, width);
    const Value biased = add(graph_, mixed, graph_.initializer("decoder." + layer + ".c_attn.bias.value", value_bias));
    return weights_.conv1d(biased, layer + ".c_proj");
  }

  void project(const Value& x) {
    graph_.set_scope("/lm_head");
    const Value hidden = weights_.layer_norm(x, "transformer.ln_f", config_.layer_norm_epsilon);
    const Value logits = config_.tie_word_embeddings ? weights_.project_tied(hidden, "transformer.wte.weight")
                                                     : weights_.linear(hidden, "lm_head");
    graph_.output(logits, "logits", {"batch_size", kTokens, config_.vocab_size});
  }

  Graph& graph_;
  const Gpt2Config& config_;
  Weights weights_;
  CrossAttention cross_attention_;
  std::int64_t num_heads_;
  std::int64_t head_size_;
  Value scale_;
};

}  // namespace

Graph gpt2_decoder(const Gpt2Config& config, const TensorMap& state, CrossAttention cross_attention) {
  Graph graph("decoder_model_merged");
  Decoder(graph, config, state, cross_attention).build();
  return graph;
}

}  // namespace capstan::onnx
