// Vision transformers on own kernels: weights packed as tiles, hidden states between products kept as bfloat16 planes
// (one for bfloat16, three for float32), one start of the threads per batch of pictures.
// Rows are the tokens of all pictures of a batch, one picture behind the other.
#include "capstan/generate/encoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/models/vision_layout.h"
#include "generate/engines.h"
#include "generate/kernels/image_attention.h"
#include "generate/kernels/vector.h"

namespace capstan {
namespace {

using kernels::Buffer;
using kernels::Epilogue;
using kernels::Operand;
using kernels::PackedMatrix;
using kernels::round_up;
using kernels::Share;
using kernels::share;

// Pictures of one pass; more are cut into several, which bounds the memory.
constexpr std::int64_t kPictures = 4;
// Bytes of rows that stay in a core's cache while all columns go by.
constexpr std::int64_t kCachedRows = 1 << 20;

struct Norm {
  Buffer<float> weight, bias;
};

struct Layer {
  Norm norm_1, norm_2;
  PackedMatrix qkv, output, fc_1;
  std::vector<PackedMatrix> fc_2;  // cut along its long side, so that rows of each piece stay in the cache
};

class TiledEncoder final : public EncoderEngine {
 public:
  TiledEncoder(VisionEncoderDecoder& model, const VisionLayout& names, int num_planes, const kernels::Cpu& cpu)
      : model_(model),
        config_(model.config().encoder),
        cpu_(cpu),
        vector_(kernels::vector_kernels(cpu)),
        team_(at::get_num_threads()),
        planes_(num_planes),
        activation_(kernel_activation(config_.hidden_act)),
        width_(config_.hidden_size),
        inner_(config_.intermediate_size),
        head_size_(width_ / config_.num_attention_heads),
        scratch_(static_cast<std::size_t>(team_.size())),
        attention_(static_cast<std::size_t>(team_.size())) {
    load(names);
  }

  at::Tensor encode(const at::Tensor& pixel_values_BCHW) override {
    const std::int64_t size = config_.image_size;
    if (pixel_values_BCHW.dim() != 4 || pixel_values_BCHW.size(1) != config_.num_channels ||
        pixel_values_BCHW.size(2) != size || pixel_values_BCHW.size(3) != size)
      return model_.encode(pixel_values_BCHW);  // another size, or the model's error
    const at::Tensor pixels = pixel_values_BCHW.detach().to(at::kCPU, at::kFloat).contiguous();
    const std::int64_t count = pixels.size(0), out_width = projection_.n > 0 ? projection_.n : width_;
    at::Tensor out_BSD = at::empty({count, tokens_, out_width}, at::kFloat);
    reserve(std::min(count, kPictures));
    for (std::int64_t first = 0; first < count; first += kPictures) {
      const std::int64_t pictures = std::min(kPictures, count - first);
      const float* from = pixels.const_data_ptr<float>() + first * pixels.stride(0);
      float* to = out_BSD.mutable_data_ptr<float>() + first * out_BSD.stride(0);
      auto all = [&](int thread) { run(thread, pictures, from, to); };
      team_.run(all);
    }
    return out_BSD;
  }

 private:
  void load(const VisionLayout& names) {
    const TensorMap weights = effective_weights(model_);
    const auto get = [&](const std::string& name) -> at::Tensor {
      const auto found = weights.find(name);
      return found == weights.end() ? at::Tensor() : found->second.to(at::kFloat);
    };
    const auto type = planes_ == 1 ? kernels::WeightType::kBfloat16 : kernels::WeightType::kFloat32;
    const auto norm = [&](const std::string& name) {
      return Norm{float_buffer(get(name + ".weight")), float_buffer(get(name + ".bias"))};
    };
    const auto pack = [&](const std::string& name) {
      return PackedMatrix(get(name + ".weight"), get(name + ".bias"), type, cpu_);
    };
    const std::string root = "encoder.";
    patch_ =
        PackedMatrix(get(root + names.patches + ".weight").flatten(1), get(root + names.patches + ".bias"), type, cpu_);
    at::Tensor start = get(root + names.positions).reshape({-1, width_}).clone();
    tokens_ = start.size(0);
    special_ = static_cast<std::int64_t>(names.tokens.size());
    for (std::int64_t i = 0; i < special_; ++i)
      start[i] += get(root + names.tokens[static_cast<std::size_t>(i)]).reshape({-1});
    start_ = float_buffer(start);
    for (int i = 0; i < config_.num_hidden_layers; ++i) {
      const std::string name = root + names.blocks + "." + std::to_string(i) + ".";
      Layer layer{.norm_1 = norm(name + names.norm_1), .norm_2 = norm(name + names.norm_2)};
      std::vector<at::Tensor> weight, bias;
      for (const std::string& part : {names.query, names.key, names.value}) {
        weight.push_back(get(name + part + ".weight"));
        bias.push_back(get(name + part + ".bias"));
      }
      layer.qkv = PackedMatrix(at::cat(weight), bias[0].defined() ? at::cat(bias) : at::Tensor(), type, cpu_);
      layer.output = pack(name + names.attention_output);
      layer.fc_1 = pack(name + names.fc_1);
      const at::Tensor fc_2 = get(name + names.fc_2 + ".weight");
      for (std::int64_t k = 0; k < inner_; k += piece())
        layer.fc_2.emplace_back(fc_2.narrow(1, k, std::min(piece(), inner_ - k)),
                                k == 0 ? get(name + names.fc_2 + ".bias") : at::Tensor(), type, cpu_);
      layers_.push_back(std::move(layer));
    }
    norm_ = norm(root + names.norm);
    if (get("enc_to_dec_proj.weight").defined()) projection_ = pack("enc_to_dec_proj");
  }

  std::int64_t piece() const { return std::min<std::int64_t>(inner_, 768); }

  void reserve(std::int64_t pictures) {
    const std::int64_t rows = round_up(pictures * tokens_, 32) + 32;  // tiles read up to 31 rows behind a picture
    if (rows <= rows_) return;
    rows_ = rows;
    x_ = Buffer<float>(rows * width_);
    row_ = Buffer<float>(team_.size() * std::max(patch_.k_padded, width_));
    left_ = Buffer<std::uint16_t>(planes_ * rows * std::max(patch_.k_padded, width_));
    qkv_ = Buffer<std::uint16_t>(planes_ * rows * 3 * width_);
    mid_ = Buffer<std::uint16_t>(planes_ * rows * inner_);
    for (kernels::Scratch& scratch : scratch_)
      if (planes_ == 3)
        scratch.tiles = Buffer<std::uint16_t>(3 * std::max({patch_.k_padded, width_, inner_}) * kernels::kPanel);
    for (auto& scratch : attention_) scratch = kernels::ImageAttentionScratch(tokens_, head_size_, planes_);
  }

  void run(int thread, std::int64_t pictures, const float* pixels, float* out) {
    const kernels::TileScope tiles(cpu_);
    embed(thread, pictures, pixels);
    const std::int64_t rows = pictures * tokens_;
    const Epilogue add_to_x{.add = true, .out = x_.data(), .ld = width_};
    for (const Layer& layer : layers_) {
      normalize(thread, rows, layer.norm_1);
      product(thread, layer.qkv, operand(left_, width_, rows), to_planes(qkv_, 3 * width_));
      team_.barrier();
      attend(thread, pictures);
      product(thread, layer.output, operand(left_, width_, rows), add_to_x);
      team_.barrier();
      normalize(thread, rows, layer.norm_2);
      Epilogue activated = to_planes(mid_, inner_);
      activated.activation = activation_;
      product(thread, layer.fc_1, operand(left_, width_, rows), activated);
      team_.barrier();
      for (std::size_t i = 0; i < layer.fc_2.size(); ++i) {
        Operand part = operand(mid_, inner_, rows);
        part.planes += static_cast<std::int64_t>(i) * piece();
        product(thread, layer.fc_2[i], part, add_to_x);
      }
      team_.barrier();
    }
    finish(thread, rows, out);
  }

  // Positions and special tokens stand in x before the patches are added.
  void embed(int thread, std::int64_t pictures, const float* pixels) {
    const std::int64_t patches = tokens_ - special_, rows = pictures * tokens_;
    const Share mine = share(rows, thread, team_.size());
    for (std::int64_t row = mine.begin; row < mine.end; ++row)
      std::copy_n(start_.data() + row % tokens_ * width_, width_, x_.data() + row * width_);
    const Share cut = share(pictures * patches, thread, team_.size());
    float* patch = row_.data() + thread * std::max(patch_.k_padded, width_);
    for (std::int64_t i = cut.begin; i < cut.end; ++i) {
      cut_patch(pixels, i / patches, i % patches, patch);
      vector_.to_planes(patch, patch_.k, planes_, left_.data() + i * patch_.k_padded, rows_ * patch_.k_padded);
    }
    team_.barrier();
    for (std::int64_t picture = 0; picture < pictures; ++picture) {
      Operand x = operand(left_, patch_.k_padded, patches);
      x.planes += picture * patches * patch_.k_padded;
      product(thread, patch_, x,
              {.add = true, .out = x_.data() + (picture * tokens_ + special_) * width_, .ld = width_});
    }
    team_.barrier();
  }

  void cut_patch(const float* pixels, std::int64_t picture, std::int64_t index, float* to) const {
    const std::int64_t size = config_.image_size, patch = config_.patch_size, columns = size / patch;
    const std::int64_t top = index / columns * patch, left = index % columns * patch;
    for (std::int64_t c = 0; c < config_.num_channels; ++c)
      for (std::int64_t y = 0; y < patch; ++y, to += patch)
        std::copy_n(pixels + ((picture * config_.num_channels + c) * size + top + y) * size + left, patch, to);
  }

  void normalize(int thread, std::int64_t rows, const Norm& norm) {
    const Share mine = share(rows, thread, team_.size());
    float* normed = row_.data() + thread * std::max(patch_.k_padded, width_);
    for (std::int64_t row = mine.begin; row < mine.end; ++row) {
      vector_.layer_norm(x_.data() + row * width_, norm.weight.data(), norm.bias.data(),
                         static_cast<float>(config_.layer_norm_eps), width_, normed);
      vector_.to_planes(normed, width_, planes_, left_.data() + row * width_, rows_ * width_);
    }
    team_.barrier();
  }

  void attend(int thread, std::int64_t pictures) {
    const std::int64_t heads = config_.num_attention_heads;
    const Share tasks = share(pictures * heads, thread, team_.size());
    for (std::int64_t task = tasks.begin; task < tasks.end; ++task) {
      const std::int64_t first = task / heads * tokens_, column = task % heads * head_size_;
      const std::uint16_t* query = qkv_.data() + first * 3 * width_ + column;
      kernels::attend_image({.query = query,
                             .key = query + width_,
                             .value = query + 2 * width_,
                             .ld = 3 * width_,
                             .plane_stride = rows_ * 3 * width_,
                             .tokens = tokens_,
                             .head_size = head_size_,
                             .scale = 1.0F / std::sqrt(static_cast<float>(head_size_)),
                             .num_planes = planes_,
                             .out = left_.data() + first * width_ + column,
                             .out_ld = width_,
                             .out_plane_stride = rows_ * width_},
                            attention_[static_cast<std::size_t>(thread)]);
    }
    team_.barrier();
  }

  void finish(int thread, std::int64_t rows, float* out) {
    if (projection_.n == 0) {
      const Share mine = share(rows, thread, team_.size());
      for (std::int64_t row = mine.begin; row < mine.end; ++row)
        vector_.layer_norm(x_.data() + row * width_, norm_.weight.data(), norm_.bias.data(),
                           static_cast<float>(config_.layer_norm_eps), width_, out + row * width_);
      return;
    }
    normalize(thread, rows, norm_);
    product(thread, projection_, operand(left_, width_, rows), {.out = out, .ld = projection_.n});
  }

  Operand operand(const Buffer<std::uint16_t>& planes, std::int64_t ld, std::int64_t rows) const {
    return {.form = planes_ == 3 ? kernels::Form::kPlanes3 : kernels::Form::kPlanes1,
            .rows = rows,
            .planes = planes.data(),
            .ld = ld,
            .plane_stride = rows_ * ld};
  }
  Epilogue to_planes(const Buffer<std::uint16_t>& planes, std::int64_t ld) const {
    return {.planes = planes.data(), .plane_ld = ld, .plane_stride = rows_ * ld, .num_planes = planes_};
  }

  // Without a barrier: threads own columns.
  void product(int thread, const PackedMatrix& matrix, const Operand& x, const Epilogue& epilogue) {
    const std::int64_t fitting = kCachedRows / (matrix.k_padded * 2 * planes_) / 32 * 32;
    const std::int64_t chunk = std::max<std::int64_t>(fitting, 64);
    const Share panels = share(matrix.panels(), thread, team_.size());
    for (std::int64_t row = 0; row < x.rows; row += chunk)
      kernels::multiply(cpu_, matrix, x, {.rows = {row, std::min(x.rows, row + chunk)}, .panels = panels}, epilogue,
                        scratch_[static_cast<std::size_t>(thread)]);
  }

  VisionEncoderDecoder& model_;
  VisionConfig config_;
  kernels::Cpu cpu_;
  kernels::VectorKernels vector_;
  kernels::Team team_;
  int planes_;
  kernels::Act activation_;
  std::int64_t width_, inner_, head_size_, tokens_ = 0, special_ = 0, rows_ = 0;
  PackedMatrix patch_, projection_;
  Buffer<float> start_;
  std::vector<Layer> layers_;
  Norm norm_;
  Buffer<float> x_, row_;
  Buffer<std::uint16_t> left_, qkv_, mid_;
  std::vector<kernels::Scratch> scratch_;
  std::vector<kernels::ImageAttentionScratch> attention_;
};

class ModelEncoder final : public EncoderEngine {
 public:
  explicit ModelEncoder(VisionEncoderDecoder& model) : model_(model) {}
  at::Tensor encode(const at::Tensor& pixel_values_BCHW) override {
    const c10::InferenceMode no_gradients;
    const at::Tensor weight = model_.parameters().front();
    return model_.encode(pixel_values_BCHW.to(weight.device(), weight.scalar_type()));
  }

 private:
  VisionEncoderDecoder& model_;
};

bool fits_tiles(const VisionConfig& config) {
  const int head_size = config.hidden_size / config.num_attention_heads;
  const int tiles_of_piece = std::min(config.intermediate_size, 768) % 32;
  return config.hidden_size % 32 == 0 && head_size % 32 == 0 && config.intermediate_size % 32 == 0 &&
         tiles_of_piece == 0 && config.image_size % config.patch_size == 0;
}

}  // namespace

std::unique_ptr<EncoderEngine> make_encoder(VisionEncoderDecoder& model, const std::string& dtype) {
  const kernels::Cpu cpu = kernels::detect_cpu();
  const VisionLayout* const names = model.encoder().layout();
  if (model.parameters().front().device().is_cpu() && cpu.amx && names != nullptr && fits_tiles(model.config().encoder))
    return std::make_unique<TiledEncoder>(model, *names, dtype == "float32" ? 3 : 1, cpu);
  return std::make_unique<ModelEncoder>(model);
}

}  // namespace capstan
