#include "generate/module_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "capstan/core/error.h"
#include "generate/engines.h"

namespace capstan {

using at::indexing::Slice;

struct ModuleStep::Staged {
  at::Tensor ids_R, positions_R, place_of_row_R, row_of_place, slot_of_text_R;
  at::Tensor all_rows_R;    // 0, 1, ...
  at::Tensor allowed_R11T;  // tokens that exist
  at::Tensor allowed_P11S;  // image tokens that exist; undefined when all do
  at::Tensor cache, cross;  // narrowed to the step's rows, tokens and pictures
};

ModuleStep::ModuleStep(Gpt2& decoder, const EngineOptions& options)
    : config_(decoder.config()),
      activation_(parse_activation(config_.activation_function)),
      max_rows_(options.max_rows) {
  const TensorMap weights = effective_weights(decoder);
  const auto get = [&](const std::string& name) {
    const auto found = weights.find("transformer." + name);
    CAPSTAN_ASSERT(found != weights.end());
    return found->second;
  };
  const auto affine = [&](const std::string& name) { return Affine{get(name + ".weight"), get(name + ".bias")}; };
  wte_ = get("wte.weight");
  wpe_ = get("wpe.weight");
  ln_f_ = affine("ln_f");
  const auto head = weights.find("lm_head.weight");
  head_ = head != weights.end() ? head->second : wte_;
  for (int i = 0; i < config_.n_layer; ++i) {
    const std::string name = "h." + std::to_string(i) + ".";
    Layer layer{.ln_1 = affine(name + "ln_1"),
                .qkv = affine(name + "attn.c_attn"),
                .out = affine(name + "attn.c_proj"),
                .ln_2 = affine(name + "ln_2"),
                .fc = affine(name + "mlp.c_fc"),
                .proj = affine(name + "mlp.c_proj")};
    if (config_.add_cross_attention) {
      layer.ln_cross = affine(name + "ln_cross_attn");
      layer.cross_q = affine(name + "crossattention.q_attn");
      layer.cross_kv = affine(name + "crossattention.c_attn");
      layer.cross_out = affine(name + "crossattention.c_proj");
    }
    layers_.push_back(std::move(layer));
  }
  options_ = wte_.options();
  cache_ = at::zeros(
      {2 * config_.n_layer, max_rows_, config_.n_head, options.max_tokens, config_.n_embd / config_.n_head}, options_);
}

bool ModuleStep::stage(const StepShape& shape, const StepInputs& inputs) {
  const std::int64_t size = 4 * shape.rows + shape.pictures * (shape.beams + 1);
  const bool grows = !inputs_.defined() || inputs_.numel() < size;
  if (grows) {
    const std::int64_t room = std::max(size, 6 * max_rows_);
    waiting_inputs_ =
        at::empty({room}, at::TensorOptions().dtype(at::kLong).pinned_memory(options_.device().is_cuda()));
    inputs_ = at::empty({room}, options_.dtype(at::kLong));
  }
  auto* to = waiting_inputs_.mutable_data_ptr<std::int64_t>();
  const auto put = [&](const std::vector<std::int64_t>& values, std::int64_t count) {
    CAPSTAN_ASSERT(static_cast<std::int64_t>(values.size()) == count);
    to = std::copy(values.begin(), values.end(), to);
  };
  put(inputs.ids, shape.rows);
  put(inputs.positions, shape.rows);
  put(inputs.place_of_row, shape.rows);
  put(inputs.slot_of_text, shape.rows);
  put(inputs.row_of_place, shape.pictures * shape.beams);
  put(inputs.num_keys, shape.pictures);
  // The caller reads the logits before it stages again, so the copy from page-locked memory is over by then.
  inputs_.narrow(0, 0, size).copy_(waiting_inputs_.narrow(0, 0, size), /*non_blocking=*/true);
  return grows;
}

ModuleStep::Staged ModuleStep::staged(const StepShape& shape) const {
  std::int64_t first = 0;
  const auto take = [&](std::int64_t count) { return inputs_.narrow(0, std::exchange(first, first + count), count); };
  Staged in;
  in.ids_R = take(shape.rows);
  in.positions_R = take(shape.rows);
  in.place_of_row_R = take(shape.rows);
  in.slot_of_text_R = take(shape.rows);
  in.row_of_place = take(shape.pictures * shape.beams);
  const at::Tensor num_keys_P = take(shape.pictures);
  const auto count = [&](std::int64_t n) { return at::arange(n, inputs_.options()); };
  const auto below = [&](std::int64_t n, const at::Tensor& limit) {
    return count(n).unsqueeze(0).lt(limit.unsqueeze(1)).unsqueeze(1).unsqueeze(1);
  };
  in.all_rows_R = count(shape.rows);
  in.allowed_R11T = below(shape.tokens, in.positions_R + 1);
  if (shape.uneven) in.allowed_P11S = below(shape.image_tokens, num_keys_P);
  in.cache = cache_.narrow(1, 0, shape.rows);
  if (cross_.defined()) in.cross = cross_.narrow(1, 0, shape.pictures);
  return in;
}

at::Tensor ModuleStep::run(const StepShape& shape) {
  const Staged in = staged(shape);
  at::Tensor x_RD = wte_.index_select(0, in.ids_R) + wpe_.index_select(0, in.positions_R);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    x_RD = x_RD + self_attention(i, norm(x_RD, layer.ln_1), in);
    if (config_.add_cross_attention) x_RD = x_RD + cross_attention(i, norm(x_RD, layer.ln_cross), in, shape);
    x_RD = x_RD + linear(activate(linear(norm(x_RD, layer.ln_2), layer.fc), activation_), layer.proj);
  }
  return at::linear(norm(x_RD.index_select(0, in.slot_of_text_R), ln_f_), head_).to(at::kFloat);
}

at::Tensor ModuleStep::linear(const at::Tensor& x, const Affine& layer) {  // weights lie [in, out]
  return at::addmm(layer.bias, x, layer.weight);
}

at::Tensor ModuleStep::norm(const at::Tensor& x, const Affine& layer) const {
  return at::layer_norm(x, {config_.n_embd}, layer.weight, layer.bias, config_.layer_norm_epsilon);
}

at::Tensor ModuleStep::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& allowed,
                              std::size_t layer) const {
  double scale = 1;
  if (config_.scale_attn_weights) scale /= std::sqrt(static_cast<double>(config_.n_embd / config_.n_head));
  if (config_.scale_attn_by_inverse_layer_idx) scale /= static_cast<double>(layer + 1);
  if (!config_.reorder_and_upcast_attn)
    return at::scaled_dot_product_attention(q, k, v, allowed.defined() ? std::optional(allowed) : std::nullopt, 0.0,
                                            false, scale);
  at::Tensor scores = at::matmul(q.to(at::kFloat), k.to(at::kFloat).transpose(2, 3)) * scale;
  if (allowed.defined()) scores = scores.masked_fill(allowed.logical_not(), std::numeric_limits<float>::lowest());
  return at::matmul(scores.softmax(-1).to(v.scalar_type()), v);
}

at::Tensor ModuleStep::self_attention(std::size_t layer, const at::Tensor& x_RD, const Staged& in) const {
  const auto qkv = linear(x_RD, layers_[layer].qkv).unflatten(1, {3, config_.n_head, -1}).unbind(1);  // [R, N, K]
  at::Tensor keys = in.cache.select(0, static_cast<std::int64_t>(2 * layer));
  at::Tensor values = in.cache.select(0, static_cast<std::int64_t>(2 * layer + 1));
  keys.index_put_({in.all_rows_R, Slice(), in.positions_R}, qkv[1]);
  values.index_put_({in.all_rows_R, Slice(), in.positions_R}, qkv[2]);
  const std::int64_t tokens = in.allowed_R11T.size(3);
  const at::Tensor y_RN1K =
      attend(qkv[0].unsqueeze(2), keys.narrow(2, 0, tokens), values.narrow(2, 0, tokens), in.allowed_R11T, layer);
  return linear(y_RN1K.flatten(1), layers_[layer].out);
}

at::Tensor ModuleStep::cross_attention(std::size_t layer, const at::Tensor& x_RD, const Staged& in,
                                       const StepShape& shape) const {
  const at::Tensor q_RD = linear(x_RD, layers_[layer].cross_q);
  // Rows of one picture stand together, filled up to C of them, so that they share keys and values.
  const at::Tensor q_PNCK = q_RD.index_select(0, in.row_of_place)
                                .unflatten(0, {shape.pictures, -1})
                                .unflatten(2, {config_.n_head, -1})
                                .transpose(1, 2);
  const auto place = static_cast<std::int64_t>(2 * layer);
  const at::Tensor y_PNCK =
      attend(q_PNCK, in.cross.select(0, place), in.cross.select(0, place + 1), in.allowed_P11S, layer);
  const at::Tensor y_RD = y_PNCK.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, in.place_of_row_R);
  return linear(y_RD, layers_[layer].cross_out);
}

bool ModuleStep::add_pictures(const at::Tensor& encoder_hidden_BSD, std::int64_t first) {
  if (!config_.add_cross_attention) return false;
  const at::Tensor hidden_BSD = encoder_hidden_BSD.to(options_);
  const std::int64_t needed = first + hidden_BSD.size(0), tokens = hidden_BSD.size(1);
  const std::int64_t room = cross_.defined() ? cross_.size(1) : 0;
  const bool grows = needed > room || tokens > image_tokens();
  if (grows) {
    // Pictures with fewer tokens are filled up with zeros, which the mask hides.
    const at::Tensor larger = at::zeros({cache_.size(0), needed > room ? std::min(max_rows_, 2 * needed) : room,
                                         config_.n_head, std::max(tokens, image_tokens()), cache_.size(4)},
                                        options_);
    if (first > 0) larger.narrow(1, 0, first).narrow(3, 0, image_tokens()).copy_(cross_.narrow(1, 0, first));
    cross_ = larger;
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Affine& layer = layers_[i].cross_kv;
    const at::Tensor kv = at::matmul(hidden_BSD, layer.weight) + layer.bias;
    const at::Tensor kv_2BNSK = kv.unflatten(2, {2, config_.n_head, -1}).permute({2, 0, 3, 1, 4});
    cross_.narrow(0, static_cast<std::int64_t>(2 * i), 2)
        .narrow(1, first, hidden_BSD.size(0))
        .narrow(3, 0, tokens)
        .copy_(kv_2BNSK);
  }
  return grows;
}

at::Tensor ModuleStep::index(std::span<const std::int64_t> values) const {
  return at::tensor(at::ArrayRef<std::int64_t>(values.data(), values.size())).to(options_.device());
}

void ModuleStep::copy_rows(std::span<const std::int64_t> from, std::span<const std::int64_t> to, std::int64_t tokens) {
  if (from.empty() || tokens == 0) return;
  at::Tensor used = cache_.narrow(3, 0, tokens);
  used.index_copy_(1, index(to), used.index_select(1, index(from)));
}

void ModuleStep::copy_pictures(std::span<const std::int64_t> from, std::span<const std::int64_t> to) {
  if (from.empty() || !cross_.defined()) return;
  cross_.index_copy_(1, index(to), cross_.index_select(1, index(from)));
}

}  // namespace capstan
