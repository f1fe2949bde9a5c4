// Patches in, hidden states out; the position table fits itself to pictures of other sizes.
#include "models/vision_transformer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "capstan/core/error.h"
#include "capstan/nn/drop_path.h"
#include "capstan/nn/placeholder.h"
#include "capstan/nn/recompute.h"
#include "capstan/nn/scope.h"

namespace capstan {
namespace {

// A parameter under a dotted path.
at::Tensor parameter(torch::nn::Module& root, const std::string& path, at::IntArrayRef sizes) {
  const auto dot = path.rfind('.');
  return scope(root, path.substr(0, dot)).register_parameter(path.substr(dot + 1), new_weight(sizes));
}

void buffer(torch::nn::Module& root, const std::string& path, at::IntArrayRef sizes) {
  const auto dot = path.rfind('.');
  scope(root, path.substr(0, dot)).register_buffer(path.substr(dot + 1), new_weight(sizes));
}

// The table [1, S, D] for rows x columns patches, the first `num_tokens` entries unchanged: transformers'
// interpolate_pos_encoding.
at::Tensor interpolated(const at::Tensor& table_1SD, std::int64_t num_tokens, std::int64_t rows, std::int64_t columns) {
  const std::int64_t num_patches = table_1SD.size(1) - num_tokens;
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(num_patches))));
  const at::Tensor grid =
      table_1SD.narrow(1, num_tokens, num_patches).reshape({1, side, side, table_1SD.size(2)}).permute({0, 3, 1, 2});
  const std::array<std::int64_t, 2> size{rows, columns};
  const at::Tensor resized = at::upsample_bicubic2d(grid, size, /*align_corners=*/false);
  return at::cat({table_1SD.narrow(1, 0, num_tokens), resized.flatten(2).transpose(1, 2)}, 1);
}

}  // namespace

VisionTransformer::VisionTransformer(const VisionConfig& config, const VisionLayout& layout)
    : VisionEncoder(config), layout_(layout) {
  const int width = config.hidden_size;
  const int patch = config.patch_size;
  for (const std::string& token : layout.tokens) tokens_.push_back(parameter(*this, token, {1, 1, width}));
  if (layout.flat_positions)
    positions_ = parameter(*this, layout.positions, {num_tokens(), width});
  else
    positions_ = parameter(*this, layout.positions, {1, num_tokens(), width});
  patch_weight_ = parameter(*this, layout.patches + ".weight", {width, config.num_channels, patch, patch});
  patch_bias_ = parameter(*this, layout.patches + ".bias", {width});
  for (int i = 0; i < config.num_hidden_layers; ++i)
    blocks_.push_back(
        scope(*this, layout.blocks).register_module(std::to_string(i), std::make_shared<VisionBlock>(config, layout)));
  const auto norm = torch::nn::LayerNormOptions({width}).eps(config.layer_norm_eps);
  const auto dot = layout.norm.rfind('.');
  torch::nn::Module& parent = dot == std::string::npos ? *this : scope(*this, layout.norm.substr(0, dot));
  norm_ = parent.register_module(dot == std::string::npos ? layout.norm : layout.norm.substr(dot + 1),
                                 torch::nn::LayerNorm(norm));
  for (const auto& [name, sizes] : layout.head) buffer(*this, name, sizes);
  set_drop_path_rate(config.drop_path_rate);
  set_attn_implementation(config.attn_implementation);
}

std::int64_t VisionTransformer::num_tokens() const {
  const std::int64_t side = config_.image_size / config_.patch_size;
  return static_cast<std::int64_t>(tokens_.size()) + side * side;
}

void VisionTransformer::set_drop_path_rate(double rate) {
  config_.drop_path_rate = rate;
  const auto count = static_cast<std::int64_t>(blocks_.size());
  for (std::int64_t i = 0; i < count; ++i)
    blocks_[static_cast<std::size_t>(i)]->drop_path_rate = drop_path_rate_of(rate, i, count);
}

void VisionTransformer::set_attn_implementation(std::string_view name) {
  const AttentionKernel kernel = parse_attention(name);
  config_.attn_implementation = name;
  for (const auto& block : blocks_) block->attention_kernel = kernel;
}

void VisionTransformer::set_image_size(int image_size) {
  const at::NoGradGuard no_grad;
  if (image_size < config_.patch_size)
    throw ConfigError(fmt::format("image_size {} is smaller than a patch of {} pixels; expected at least one patch.",
                                  image_size, config_.patch_size));
  const at::Tensor table_1SD = positions(image_size, image_size).contiguous();
  positions_.set_data(positions_.dim() == 2 ? table_1SD[0] : table_1SD);
  config_.image_size = image_size;
}

at::Tensor VisionTransformer::positions(std::int64_t height, std::int64_t width) const {
  const at::Tensor table_1SD = positions_.dim() == 2 ? positions_.unsqueeze(0) : positions_;
  const auto num_special = static_cast<std::int64_t>(tokens_.size());
  const std::int64_t rows = height / config_.patch_size, columns = width / config_.patch_size;
  if (height == width && rows * columns == table_1SD.size(1) - num_special) return table_1SD;
  return interpolated(table_1SD, num_special, rows, columns);
}

at::Tensor VisionTransformer::patches(const at::Tensor& pixel_values_BCHW) const {
  // A convolution whose stride is its kernel is one matrix product over cut-out patches, which trains faster.
  const std::int64_t patch = config_.patch_size;
  const std::int64_t rows = pixel_values_BCHW.size(2) / patch, columns = pixel_values_BCHW.size(3) / patch;
  const at::Tensor cut = pixel_values_BCHW.narrow(2, 0, rows * patch)
                             .narrow(3, 0, columns * patch)
                             .to(patch_weight_.scalar_type())
                             .unflatten(3, {columns, patch})
                             .unflatten(2, {rows, patch})  // [B, C, rows, P, columns, P]
                             .permute({0, 2, 4, 1, 3, 5})
                             .flatten(3)
                             .flatten(1, 2);  // [B, rows * columns, C * P * P]
  return at::linear(cut, patch_weight_.flatten(1), patch_bias_);
}

at::Tensor VisionTransformer::embed(const at::Tensor& pixel_values_BCHW, bool interpolate) const {
  const std::int64_t size = config_.image_size, patch = config_.patch_size;
  const bool is_batch = pixel_values_BCHW.dim() == 4 && pixel_values_BCHW.size(1) == config_.num_channels;
  const bool fits = is_batch && (interpolate ? pixel_values_BCHW.size(2) >= patch && pixel_values_BCHW.size(3) >= patch
                                             : pixel_values_BCHW.size(2) == size && pixel_values_BCHW.size(3) == size);
  if (!fits)
    throw DataError(
        fmt::format("pictures of shape {} do not fit the model; expected [batch, {}, {}]{}. Prepare them with the "
                    "image processor of "
                    "this model.",
                    c10::str(pixel_values_BCHW.sizes()), config_.num_channels,
                    interpolate ? "height, width" : fmt::format("{}, {}", size, size),
                    interpolate ? fmt::format(" of {} pixels or more", patch) : ""));
  const at::Tensor x_BSD = patches(pixel_values_BCHW);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& token : tokens_) parts.push_back(token.expand({x_BSD.size(0), -1, -1}));
  parts.push_back(x_BSD);
  const at::Tensor all_BSD = parts.size() > 1 ? at::cat(parts, 1) : x_BSD;
  return all_BSD + positions(pixel_values_BCHW.size(2), pixel_values_BCHW.size(3));
}

at::Tensor VisionTransformer::forward(const at::Tensor& pixel_values_BCHW, bool interpolate) {
  at::Tensor x_BSD = embed(pixel_values_BCHW, interpolate || config_.interpolate_pos_encoding);
  x_BSD = at::dropout(x_BSD, config_.hidden_dropout_prob, is_training());
  const bool recomputes = gradient_checkpointing_ && is_training() && at::GradMode::is_enabled();
  for (const auto& block : blocks_)
    x_BSD = recomputes
                ? recompute([block](const std::vector<at::Tensor>& in) { return block->forward(in[0]); }, {x_BSD})
                : block->forward(x_BSD);
  return norm_->forward(x_BSD);
}

}  // namespace capstan
