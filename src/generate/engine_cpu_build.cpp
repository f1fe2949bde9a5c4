// What the CPU engine does outside its steps: packing the weights, and taking pictures in.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "capstan/core/error.h"
#include "capstan/nn/activation.h"
#include "generate/engine_cpu.h"
#include "generate/engines.h"

namespace capstan {

using kernels::Buffer;
using kernels::PackedMatrix;
using kernels::round_up;
using kernels::Share;
using kernels::share;
using kernels::WeightType;

kernels::Act kernel_activation(std::string_view name) {
  switch (parse_activation(name)) {
    case Activation::kGelu:
      return kernels::Act::kGelu;
    case Activation::kGeluNew:
      return kernels::Act::kGeluNew;
    case Activation::kRelu:
      return kernels::Act::kRelu;
    case Activation::kSilu:
      return kernels::Act::kSilu;
    case Activation::kTanh:
      return kernels::Act::kTanh;
  }
  internal_error(__FILE__, __LINE__, "every activation has a kernel");
}

namespace {

WeightType weight_type(const std::string& dtype) {
  if (dtype == "bfloat16") return WeightType::kBfloat16;
  return dtype == "int8" ? WeightType::kInt8 : WeightType::kFloat32;
}

}  // namespace

Buffer<float> float_buffer(const at::Tensor& tensor) {
  const at::Tensor floats = tensor.detach().to(at::kFloat).contiguous();
  Buffer<float> buffer(floats.numel());
  std::copy_n(floats.const_data_ptr<float>(), floats.numel(), buffer.data());
  return buffer;
}

CpuEngine::CpuEngine(Gpt2& decoder, const EngineOptions& options)
    : config_(decoder.config()),
      cpu_(kernels::detect_cpu()),
      vector_(kernels::vector_kernels(cpu_)),
      team_(at::get_num_threads()),
      type_(weight_type(options.dtype)),
      wide_cache_(type_ == WeightType::kFloat32),
      activation_(kernel_activation(config_.activation_function)),
      max_rows_(options.max_rows),
      max_tokens_(options.max_tokens),
      head_size_(config_.n_embd / config_.n_head),
      head_padded_(round_up(head_size_, 16)),
      width_(config_.n_embd),
      inner_(config_.n_inner > 0 ? config_.n_inner : 4 * config_.n_embd) {
  load_layers(decoder);
  const auto rows = static_cast<std::size_t>(max_rows_), tokens = static_cast<std::size_t>(max_tokens_);
  row_.resize(rows);
  row_before_.resize(rows);
  slots_.resize(rows * tokens);
  slots_before_.resize(rows * tokens);
  slot_users_.resize(rows * tokens);
  pictures_.resize(rows);
  const std::int64_t cache = config_.n_layer * 2 * max_tokens_ * max_rows_ * width_;
  wide_cache_ ? void(cache_floats_ = Buffer<float>(cache)) : void(cache_halves_ = Buffer<std::uint16_t>(cache));
  x_ = Buffer<float>(max_rows_ * width_);
  normed_ = Buffer<float>(max_rows_ * width_);
  qkv_ = Buffer<float>(max_rows_ * 3 * width_);
  attended_ = Buffer<float>(max_rows_ * width_);
  mid_ = Buffer<float>(max_rows_ * inner_);
  operand_ = kernels::Activations(cpu_, max_rows_, std::max(width_, inner_));
  scratch_ = std::vector<kernels::Scratch>(static_cast<std::size_t>(team_.size()));
  for (kernels::Scratch& scratch : scratch_) {
    if (cpu_.amx) scratch.tiles = Buffer<std::uint16_t>(3 * round_up(std::max(width_, inner_), 64) * kernels::kPanel);
    scratch.attention = Buffer<float>(max_tokens_);
  }
  logits_ = at::empty({max_rows_, config_.vocab_size}, at::kFloat);
  for (std::int64_t r = 0; r <= max_rows_; ++r) logits_of_.push_back(logits_.narrow(0, 0, r));
}

void CpuEngine::load_layers(const Gpt2& decoder) {
  const c10::InferenceMode no_gradients;
  const TensorMap weights = effective_weights(decoder);
  const auto get = [&](const std::string& name) -> const at::Tensor& {
    const auto found = weights.find(name);
    CAPSTAN_ASSERT(found != weights.end());
    return found->second;
  };
  const auto norm = [&](const std::string& name) {
    return CpuNorm{float_buffer(get(name + ".weight")), float_buffer(get(name + ".bias"))};
  };
  wte_ = get("transformer.wte.weight").to(at::kFloat).contiguous();
  wpe_ = get("transformer.wpe.weight").to(at::kFloat).contiguous();
  // Read once per picture, where rounding to int8 would gain nothing.
  const WeightType once = type_ == WeightType::kFloat32 ? WeightType::kFloat32 : WeightType::kBfloat16;
  for (int i = 0; i < config_.n_layer; ++i) {
    const std::string name = "transformer.h." + std::to_string(i) + ".";
    const auto pack = [&](const char* part, WeightType type) {  // weights lie [in, out]
      return PackedMatrix(get(name + part + ".weight").t(), get(name + part + ".bias"), type, cpu_);
    };
    CpuLayer layer;
    layer.ln_1 = norm(name + "ln_1");
    layer.ln_2 = norm(name + "ln_2");
    layer.qkv = pack("attn.c_attn", type_);
    layer.proj = pack("attn.c_proj", type_);
    layer.fc = pack("mlp.c_fc", type_);
    layer.mlp_proj = pack("mlp.c_proj", type_);
    if (config_.add_cross_attention) {
      layer.ln_cross = norm(name + "ln_cross_attn");
      layer.cross_q = pack("crossattention.q_attn", type_);
      layer.cross_kv = pack("crossattention.c_attn", once);
      layer.cross_proj = pack("crossattention.c_proj", type_);
    }
    double scale = 1;
    if (config_.scale_attn_weights) scale /= std::sqrt(static_cast<double>(head_size_));
    if (config_.scale_attn_by_inverse_layer_idx) scale /= i + 1;
    layer.scale = static_cast<float>(scale);
    layers_.push_back(std::move(layer));
  }
  ln_f_ = norm("transformer.ln_f");
  head_ = PackedMatrix(config_.tie_word_embeddings ? wte_ : get("lm_head.weight"), at::Tensor(), type_, cpu_);
}

std::int32_t CpuEngine::free_picture() {
  for (std::size_t i = 0; i < pictures_.size(); ++i)
    if (pictures_[i].num_rows == 0) return static_cast<std::int32_t>(i);
  internal_error(__FILE__, __LINE__, "there are as many places for pictures as rows");
}

void CpuEngine::add(const at::Tensor& encoder_hidden_BSD, std::int64_t copies) {
  const std::int64_t num_new = encoder_hidden_BSD.size(0);
  CAPSTAN_ASSERT(copies >= 1 && num_rows_ + num_new * copies <= max_rows_);
  const at::Tensor hidden = encoder_hidden_BSD.detach().to(at::kCPU, at::kFloat).contiguous();
  for (std::int64_t i = 0; i < num_new; ++i) {
    const std::int32_t index = free_picture();
    CpuPicture& picture = pictures_[static_cast<std::size_t>(index)];
    picture.num_rows = copies;
    for (std::int64_t copy = 0; copy < copies; ++copy)
      row_[static_cast<std::size_t>(num_rows_++)] = {.picture = index, .length = 0, .slot = 0};
    if (!config_.add_cross_attention) continue;
    picture.num_keys = hidden.size(1);
    store_picture(picture, hidden.const_data_ptr<float>() + i * hidden.stride(0));
  }
}

// Keys and values of all layers, computed by the same kernels as a step, with the picture's tokens as rows.
void CpuEngine::store_picture(CpuPicture& picture, const float* hidden_SD) {
  const std::int64_t num_keys = picture.num_keys;
  picture.num_padded = round_up(num_keys, 32);
  const std::int64_t size =
      config_.n_layer * config_.n_head * (head_size_ * picture.num_padded + num_keys * head_padded_);
  if (wide_cache_ ? picture.floats.size() != size : picture.halves.size() != size)
    wide_cache_ ? void(picture.floats = Buffer<float>(size)) : void(picture.halves = Buffer<std::uint16_t>(size));
  for (kernels::Scratch& scratch : scratch_)
    if (const std::int64_t needed = std::max(max_tokens_, 4 * picture.num_padded); scratch.attention.size() < needed)
      scratch.attention = Buffer<float>(needed);
  const kernels::Activations activations(cpu_, num_keys, width_);
  const kernels::Operand operand = activations.operand(cpu_, layers_.front().cross_kv, hidden_SD, num_keys);
  const Buffer<float> kv(num_keys * 2 * width_);
  auto work = [&](int thread) {
    const kernels::TileScope tiles(cpu_);
    const Share rows = share(num_keys, thread, team_.size());
    for (std::int64_t row = rows.begin; row < rows.end; ++row)
      kernels::Activations::set(vector_, operand, row, hidden_SD + row * width_, width_);
    team_.barrier();
    for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) {
      const PackedMatrix& matrix = layers_[static_cast<std::size_t>(layer)].cross_kv;
      kernels::multiply(cpu_, matrix, operand,
                        {.rows = {0, num_keys}, .panels = share(matrix.panels(), thread, team_.size())},
                        {.out = kv.data(), .ld = 2 * width_}, scratch_[static_cast<std::size_t>(thread)]);
      team_.barrier();
      const Share heads = share(config_.n_head, thread, team_.size());
      for (std::int64_t head = heads.begin; head < heads.end; ++head) pack_heads(picture, layer, kv.data(), head);
      team_.barrier();
    }
  };
  team_.run(work);
}

void CpuEngine::pack_heads(CpuPicture& picture, std::int64_t layer, const float* kv, std::int64_t head) const {
  const std::int64_t number = layer * config_.n_head + head;
  const std::int64_t keys = number * head_size_ * picture.num_padded;
  const std::int64_t values =
      config_.n_layer * config_.n_head * head_size_ * picture.num_padded + number * picture.num_keys * head_padded_;
  // Keys are turned in blocks of 16 tokens and 16 numbers, which lie in the first cache.
  constexpr std::int64_t kBlock = 16;
  const auto pack = [&](auto* to, auto convert) {
    alignas(64) float turned[kBlock][kBlock];
    for (std::int64_t d = 0; d < head_size_; d += kBlock)
      for (std::int64_t s = 0; s < picture.num_keys; s += kBlock) {
        const std::int64_t dims = std::min(kBlock, head_size_ - d), tokens = std::min(kBlock, picture.num_keys - s);
        for (std::int64_t i = 0; i < tokens; ++i) {
          const float* key = kv + (s + i) * 2 * width_ + head * head_size_ + d;
          auto* value = to + values + (s + i) * head_padded_ + d;
          for (std::int64_t j = 0; j < dims; ++j) turned[j][i] = key[j];
          for (std::int64_t j = 0; j < dims; ++j) value[j] = convert(key[width_ + j]);
        }
        for (std::int64_t j = 0; j < dims; ++j) {
          auto* key = to + keys + (d + j) * picture.num_padded + s;
          for (std::int64_t i = 0; i < tokens; ++i) key[i] = convert(turned[j][i]);
        }
      }
  };
  if (wide_cache_)
    pack(picture.floats.data(), [](float x) { return x; });
  else
    pack(picture.halves.data(), [](float x) { return kernels::to_bf16(x); });
}

std::unique_ptr<DecodeEngine> make_cpu_engine(Gpt2& decoder, const EngineOptions& options) {
  return std::make_unique<CpuEngine>(decoder, options);
}

}  // namespace capstan
