// The engine for any device and type: ATen operations over buffers that stay in place.
// Shapes: R rows, P pictures, N heads, K head size, T tokens, S image tokens, C most rows of one picture.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "capstan/core/error.h"
#include "capstan/nn/activation.h"
#include "generate/engines.h"

namespace capstan {
namespace {

using at::indexing::Slice;

class ModuleEngine final : public DecodeEngine {
 public:
  ModuleEngine(Gpt2& decoder, const EngineOptions& options)
      : config_(decoder.config()),
        weights_(effective_weights(decoder)),
        activation_(parse_activation(config_.activation_function)),
        max_rows_(options.max_rows),
        max_tokens_(options.max_tokens) {
    const at::Tensor& wte = weight("wte.weight");
    options_ = wte.options();
    const std::int64_t head = config_.n_embd / config_.n_head;
    for (int layer = 0; layer < config_.n_layer; ++layer) {
      keys_.push_back(at::zeros({max_rows_, config_.n_head, max_tokens_, head}, options_));
      values_.push_back(at::zeros_like(keys_.back()));
    }
    cross_keys_.resize(static_cast<std::size_t>(config_.n_layer));
    cross_values_.resize(static_cast<std::size_t>(config_.n_layer));
  }

  std::int64_t rows() const override { return static_cast<std::int64_t>(lengths_.size()); }

  void add(const at::Tensor& encoder_hidden_BSD, std::int64_t copies) override {
    const c10::InferenceMode no_gradients;
    const std::int64_t num_new = encoder_hidden_BSD.size(0);
    CAPSTAN_ASSERT(copies >= 1 && rows() + num_new * copies <= max_rows_);
    for (std::int64_t i = 0; i < num_new; ++i) {
      picture_of_row_.insert(picture_of_row_.end(), static_cast<std::size_t>(copies), num_pictures_ + i);
      num_keys_.push_back(encoder_hidden_BSD.size(1));
    }
    lengths_.resize(picture_of_row_.size(), 0);
    num_pictures_ += num_new;
    if (config_.add_cross_attention) add_cross(encoder_hidden_BSD.to(options_));
    arrange();
  }

  const at::Tensor& step(std::span<const std::int64_t> tokens) override {
    const c10::InferenceMode no_gradients;
    CAPSTAN_ASSERT(static_cast<std::int64_t>(tokens.size()) == rows() && rows() > 0);
    const std::int64_t longest = *std::max_element(lengths_.begin(), lengths_.end()) + 1;
    CAPSTAN_ASSERT(longest <= max_tokens_);
    const auto ids_options = options_.dtype(at::kLong);
    const at::Tensor ids_R = at::tensor(at::ArrayRef<std::int64_t>(tokens.data(), tokens.size())).to(ids_options);
    const at::Tensor positions_R = at::tensor(lengths_).to(ids_options);
    const at::Tensor allowed_R11T =
        at::arange(longest, ids_options).unsqueeze(0).le(positions_R.unsqueeze(1)).unsqueeze(1).unsqueeze(1);
    at::Tensor x_RD = weight("wte.weight").index_select(0, ids_R) + weight("wpe.weight").index_select(0, positions_R);
    for (int layer = 0; layer < config_.n_layer; ++layer) {
      const std::string name = "h." + std::to_string(layer) + ".";
      x_RD = x_RD + self_attention(layer, name, norm(x_RD, name + "ln_1"), positions_R, allowed_R11T);
      if (config_.add_cross_attention) x_RD = x_RD + cross_attention(layer, name, norm(x_RD, name + "ln_cross_attn"));
      const at::Tensor inner = linear(norm(x_RD, name + "ln_2"), name + "mlp.c_fc");
      x_RD = x_RD + linear(activate(inner, activation_), name + "mlp.c_proj");
    }
    for (std::int64_t& length : lengths_) ++length;
    const auto head = weights_.find("lm_head.weight");
    const at::Tensor& table = head != weights_.end() ? head->second : weight("wte.weight");
    logits_RV_ = at::linear(norm(x_RD, "ln_f"), table).to(at::kFloat);
    return logits_RV_;
  }

  void select(std::span<const std::int64_t> rows) override {
    const c10::InferenceMode no_gradients;
    std::vector<std::int64_t> lengths, pictures;
    for (const std::int64_t row : rows) {
      CAPSTAN_ASSERT(row >= 0 && row < this->rows());
      lengths.push_back(lengths_[static_cast<std::size_t>(row)]);
      pictures.push_back(picture_of_row_[static_cast<std::size_t>(row)]);
    }
    const std::int64_t longest = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
    const at::Tensor index =
        at::tensor(at::ArrayRef<std::int64_t>(rows.data(), rows.size())).to(options_.dtype(at::kLong));
    const auto count = static_cast<std::int64_t>(rows.size());
    if (longest > 0)
      for (auto* cache : {&keys_, &values_})
        for (at::Tensor& tensor : *cache) {
          const at::Tensor used = tensor.narrow(2, 0, longest);
          used.narrow(0, 0, count).copy_(used.index_select(0, index));
        }
    lengths_ = std::move(lengths);
    picture_of_row_ = std::move(pictures);
    drop_pictures();
    arrange();
  }

 private:
  const at::Tensor& weight(const std::string& name) const {
    const auto found = weights_.find(name == "lm_head.weight" ? name : "transformer." + name);
    CAPSTAN_ASSERT(found != weights_.end());
    return found->second;
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {  // weights lie [in, out]
    return at::addmm(weight(name + ".bias"), x, weight(name + ".weight"));
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::layer_norm(x, {config_.n_embd}, weight(name + ".weight"), weight(name + ".bias"),
                          config_.layer_norm_epsilon);
  }

  at::Tensor attend(const at::Tensor& q_BNTK, const at::Tensor& k_BNSK, const at::Tensor& v_BNSK,
                    const at::Tensor& allowed, int layer) const {
    double scale = 1;
    if (config_.scale_attn_weights) scale /= std::sqrt(static_cast<double>(config_.n_embd / config_.n_head));
    if (config_.scale_attn_by_inverse_layer_idx) scale /= layer + 1;
    if (!config_.reorder_and_upcast_attn)
      return at::scaled_dot_product_attention(
          q_BNTK, k_BNSK, v_BNSK, allowed.defined() ? std::optional(allowed) : std::nullopt, 0.0, false, scale);
    at::Tensor scores = at::matmul(q_BNTK.to(at::kFloat), k_BNSK.to(at::kFloat).transpose(2, 3)) * scale;
    if (allowed.defined()) scores = scores.masked_fill(allowed.logical_not(), std::numeric_limits<float>::lowest());
    return at::matmul(scores.softmax(-1).to(v_BNSK.scalar_type()), v_BNSK);
  }

  at::Tensor self_attention(int layer, const std::string& name, const at::Tensor& x_RD, const at::Tensor& positions_R,
                            const at::Tensor& allowed_R11T) {
    const auto qkv = linear(x_RD, name + "attn.c_attn").unflatten(1, {3, config_.n_head, -1}).unbind(1);  // [R, N, K]
    at::Tensor keys = keys_[static_cast<std::size_t>(layer)].narrow(0, 0, rows());
    at::Tensor values = values_[static_cast<std::size_t>(layer)].narrow(0, 0, rows());
    const at::Tensor all_rows = at::arange(rows(), positions_R.options());
    keys.index_put_({all_rows, Slice(), positions_R}, qkv[1]);
    values.index_put_({all_rows, Slice(), positions_R}, qkv[2]);
    const std::int64_t longest = allowed_R11T.size(3);
    const at::Tensor y_RN1K =
        attend(qkv[0].unsqueeze(2), keys.narrow(2, 0, longest), values.narrow(2, 0, longest), allowed_R11T, layer);
    return linear(y_RN1K.flatten(1), name + "attn.c_proj");
  }

  at::Tensor cross_attention(int layer, const std::string& name, const at::Tensor& x_RD) {
    const at::Tensor q_RD = linear(x_RD, name + "crossattention.q_attn");
    // Rows of one picture stand together, filled up to C of them, so that they share keys and values.
    const at::Tensor q_PNCK = q_RD.index_select(0, row_of_place_)
                                  .unflatten(0, {num_pictures_, -1})
                                  .unflatten(2, {config_.n_head, -1})
                                  .transpose(1, 2);
    const at::Tensor y_PNCK = attend(q_PNCK, cross_keys_[static_cast<std::size_t>(layer)],
                                     cross_values_[static_cast<std::size_t>(layer)], cross_allowed_P11S_, layer);
    const at::Tensor y_RD = y_PNCK.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, place_of_row_);
    return linear(y_RD, name + "crossattention.c_proj");
  }

  void add_cross(const at::Tensor& hidden_BSD) {
    for (int layer = 0; layer < config_.n_layer; ++layer) {
      const std::string name = "h." + std::to_string(layer) + ".crossattention.c_attn";
      const at::Tensor kv = at::matmul(hidden_BSD, weight(name + ".weight")) + weight(name + ".bias");
      const auto parts = kv.unflatten(2, {2, config_.n_head, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
      append(cross_keys_[static_cast<std::size_t>(layer)], parts[0]);
      append(cross_values_[static_cast<std::size_t>(layer)], parts[1]);
    }
  }

  // [P, N, S, K]; pictures with fewer tokens are filled up with zeros, which the mask hides.
  static void append(at::Tensor& all, const at::Tensor& more) {
    if (!all.defined() || all.size(0) == 0) {
      all = more.contiguous();
      return;
    }
    const std::int64_t longest = std::max(all.size(2), more.size(2));
    const auto filled = [&](const at::Tensor& x) { return at::constant_pad_nd(x, {0, 0, 0, longest - x.size(2)}); };
    all = at::cat({filled(all), filled(more)});
  }

  void drop_pictures() {
    std::vector<std::int64_t> kept(picture_of_row_);
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    if (static_cast<std::int64_t>(kept.size()) == num_pictures_) return;
    if (config_.add_cross_attention) {
      const at::Tensor index = at::tensor(kept, at::kLong).to(options_.dtype(at::kLong));
      for (auto* cache : {&cross_keys_, &cross_values_})
        for (at::Tensor& tensor : *cache) tensor = tensor.index_select(0, index);
    }
    std::vector<std::int64_t> num_keys;
    for (const std::int64_t picture : kept) num_keys.push_back(num_keys_[static_cast<std::size_t>(picture)]);
    num_keys_ = std::move(num_keys);
    num_pictures_ = static_cast<std::int64_t>(kept.size());
    for (std::int64_t& picture : picture_of_row_)
      picture = std::lower_bound(kept.begin(), kept.end(), picture) - kept.begin();
  }

  // Places of rows in the grid [P, C], and which keys of a picture exist.
  void arrange() {
    if (!config_.add_cross_attention || rows() == 0) return;
    std::vector<std::int64_t> counts(static_cast<std::size_t>(num_pictures_), 0);
    for (const std::int64_t picture : picture_of_row_) ++counts[static_cast<std::size_t>(picture)];
    const std::int64_t most = *std::max_element(counts.begin(), counts.end());
    std::vector<std::int64_t> row_of_place(static_cast<std::size_t>(num_pictures_ * most), 0), place_of_row;
    std::fill(counts.begin(), counts.end(), 0);
    for (std::int64_t row = 0; row < rows(); ++row) {
      const std::int64_t picture = picture_of_row_[static_cast<std::size_t>(row)];
      place_of_row.push_back(picture * most + counts[static_cast<std::size_t>(picture)]++);
      row_of_place[static_cast<std::size_t>(place_of_row.back())] = row;
    }
    const auto ids_options = options_.dtype(at::kLong);
    row_of_place_ = at::tensor(row_of_place, at::kLong).to(ids_options);
    place_of_row_ = at::tensor(place_of_row, at::kLong).to(ids_options);
    const std::int64_t fewest = *std::min_element(num_keys_.begin(), num_keys_.end());
    cross_allowed_P11S_ = at::Tensor();
    const std::int64_t width = cross_keys_.front().size(2);
    if (fewest != width)
      cross_allowed_P11S_ = at::arange(width, ids_options)
                                .unsqueeze(0)
                                .lt(at::tensor(num_keys_, at::kLong).to(ids_options).unsqueeze(1))
                                .unsqueeze(1)
                                .unsqueeze(1);
  }

  Gpt2Config config_;
  TensorMap weights_;
  Activation activation_;
  std::int64_t max_rows_, max_tokens_;
  at::TensorOptions options_;
  std::vector<at::Tensor> keys_, values_;              // per layer [max_rows, N, max_tokens, K]
  std::vector<at::Tensor> cross_keys_, cross_values_;  // per layer [P, N, S, K]
  std::vector<std::int64_t> lengths_, picture_of_row_, num_keys_;
  std::int64_t num_pictures_ = 0;
  at::Tensor row_of_place_, place_of_row_, cross_allowed_P11S_;
  at::Tensor logits_RV_;
};

}  // namespace

std::unique_ptr<DecodeEngine> make_module_engine(Gpt2& decoder, const EngineOptions& options) {
  return std::make_unique<ModuleEngine>(decoder, options);
}

}  // namespace capstan
