// The steps of the CPU engine.
#include "generate/engine_cpu.h"

#include <algorithm>
#include <cstring>

#include "capstan/core/error.h"

namespace capstan {

using kernels::Share;
using kernels::share;

const at::Tensor& CpuEngine::step(std::span<const std::int64_t> tokens) {
  CAPSTAN_ASSERT(static_cast<std::int64_t>(tokens.size()) == num_rows_ && num_rows_ > 0);
  take_slots();
  auto all = [this, tokens](int thread) { run(thread, tokens); };
  team_.run(all);
  for (std::int64_t row = 0; row < num_rows_; ++row) ++row_[static_cast<std::size_t>(row)].length;
  return logits_of_[static_cast<std::size_t>(num_rows_)];
}

// A place for each row's new position that no other row looks at. There is always one: each row looks at one place of
// a position at most.
void CpuEngine::take_slots() {
  for (std::int64_t i = 0; i < num_rows_; ++i) {
    Row& row = row_[static_cast<std::size_t>(i)];
    CAPSTAN_ASSERT(row.length < max_tokens_);
    std::int32_t* users = slot_users_.data() + row.length * max_rows_;
    std::int64_t slot = i;
    while (users[slot] != 0) slot = slot + 1 < max_rows_ ? slot + 1 : 0;
    users[slot] = 1;
    row.slot = static_cast<std::int32_t>(slot);
    slots_[static_cast<std::size_t>(i * max_tokens_ + row.length)] = row.slot;
  }
}

void CpuEngine::select(std::span<const std::int64_t> rows) {
  CAPSTAN_ASSERT(static_cast<std::int64_t>(rows.size()) <= max_rows_);
  row_.swap(row_before_);
  slots_.swap(slots_before_);
  const auto count = [this](const std::vector<Row>& of, const std::vector<std::int32_t>& slots, std::int64_t row,
                            std::int32_t change) {
    const Row& it = of[static_cast<std::size_t>(row)];
    for (std::int64_t t = 0; t < it.length; ++t)
      slot_users_[static_cast<std::size_t>(t * max_rows_ + slots[static_cast<std::size_t>(row * max_tokens_ + t)])] +=
          change;
    pictures_[static_cast<std::size_t>(it.picture)].num_rows += change;
  };
  for (std::int64_t row = 0; row < num_rows_; ++row) count(row_before_, slots_before_, row, -1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPSTAN_ASSERT(rows[i] >= 0 && rows[i] < num_rows_);
    row_[i] = row_before_[static_cast<std::size_t>(rows[i])];
    std::memcpy(slots_.data() + static_cast<std::int64_t>(i) * max_tokens_,
                slots_before_.data() + rows[i] * max_tokens_, static_cast<std::size_t>(row_[i].length) * 4);
  }
  num_rows_ = static_cast<std::int64_t>(rows.size());
  for (std::int64_t row = 0; row < num_rows_; ++row) count(row_, slots_, row, 1);
}

void CpuEngine::run(int thread, std::span<const std::int64_t> tokens) {
  const kernels::TileScope tiles(cpu_);
  const Share mine = share(num_rows_, thread, team_.size());
  const float* wte = wte_.const_data_ptr<float>();
  const float* wpe = wpe_.const_data_ptr<float>();
  for (std::int64_t row = mine.begin; row < mine.end; ++row) {
    const float* token = wte + tokens[static_cast<std::size_t>(row)] * width_;
    const float* position = wpe + row_[static_cast<std::size_t>(row)].length * width_;
    float* x = x_.data() + row * width_;
    for (std::int64_t i = 0; i < width_; ++i) x[i] = token[i] + position[i];
  }
  for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) run_layer(thread, layer);
  normalize(thread, ln_f_);
  product(thread, head_, normed_.data(), width_, {.out = logits_.mutable_data_ptr<float>(), .ld = config_.vocab_size});
}

void CpuEngine::run_layer(int thread, std::int64_t index) {
  const CpuLayer& layer = layers_[static_cast<std::size_t>(index)];
  const kernels::Epilogue add_to_x{.add = true, .out = x_.data(), .ld = width_};
  normalize(thread, layer.ln_1);
  product(thread, layer.qkv, normed_.data(), width_, {.out = qkv_.data(), .ld = 3 * width_});
  self_attention(thread, index);
  product(thread, layer.proj, attended_.data(), width_, add_to_x);
  if (config_.add_cross_attention) {
    normalize(thread, layer.ln_cross);
    product(thread, layer.cross_q, normed_.data(), width_, {.out = qkv_.data(), .ld = width_});
    cross_attention(thread, index);
    product(thread, layer.cross_proj, attended_.data(), width_, add_to_x);
  }
  normalize(thread, layer.ln_2);
  product(thread, layer.fc, normed_.data(), width_, {.activation = activation_, .out = mid_.data(), .ld = inner_});
  product(thread, layer.mlp_proj, mid_.data(), inner_, add_to_x);
}

// The rows of x_ that this thread owns; no barrier before, as the owner of a row is always the same and a product ends
// with one.
void CpuEngine::normalize(int thread, const CpuNorm& norm) {
  const Share mine = share(num_rows_, thread, team_.size());
  for (std::int64_t row = mine.begin; row < mine.end; ++row)
    vector_.layer_norm(x_.data() + row * width_, norm.weight.data(), norm.bias.data(),
                       static_cast<float>(config_.layer_norm_epsilon), width_, normed_.data() + row * width_);
}

// Rows of x into the form of the product, each by its owner.
void CpuEngine::product(int thread, const kernels::PackedMatrix& matrix, const float* x, std::int64_t width,
                        const kernels::Epilogue& epilogue) {
  const kernels::Operand operand = operand_.operand(cpu_, matrix, x, num_rows_);
  const Share rows = share(num_rows_, thread, team_.size());
  for (std::int64_t row = rows.begin; row < rows.end; ++row)
    kernels::Activations::set(vector_, operand, row, x + row * width, width);
  team_.barrier();
  kernels::multiply(cpu_, matrix, operand,
                    {.rows = {0, num_rows_}, .panels = share(matrix.panels(), thread, team_.size())}, epilogue,
                    scratch_[static_cast<std::size_t>(thread)]);
  team_.barrier();
}

void CpuEngine::self_attention(int thread, std::int64_t layer) {
  const std::int64_t position_stride = max_rows_ * width_, half = max_tokens_ * position_stride;
  const std::int64_t start = layer * 2 * half;
  const Share tasks = share(num_rows_ * config_.n_head, thread, team_.size());
  for (std::int64_t task = tasks.begin; task < tasks.end; ++task) {
    const std::int64_t i = task / config_.n_head, head = task % config_.n_head;
    const Row& row = row_[static_cast<std::size_t>(i)];
    const float* qkv = qkv_.data() + i * 3 * width_ + head * head_size_;
    const std::int64_t base = start + head * head_size_;
    const std::int64_t now = base + row.length * position_stride + row.slot * width_;
    kernels::SelfAttention attention{
        .query = qkv,
        .slots = slots_.data() + i * max_tokens_,
        .length = row.length + 1,
        .position_stride = position_stride,
        .slot_stride = width_,
        .head_size = head_size_,
        .scale = layers_[static_cast<std::size_t>(layer)].scale,
        .scores = scratch_[static_cast<std::size_t>(thread)].attention.data(),
        .out = attended_.data() + i * width_ + head * head_size_,
    };
    if (wide_cache_) {
      std::copy_n(qkv + width_, head_size_, cache_floats_.data() + now);
      std::copy_n(qkv + 2 * width_, head_size_, cache_floats_.data() + now + half);
      attention.keys = cache_floats_.data() + base;
      attention.values = cache_floats_.data() + base + half;
      vector_.self_attention_f32(attention);
    } else {
      for (std::int64_t d = 0; d < head_size_; ++d) {
        cache_halves_.data()[now + d] = kernels::to_bf16(qkv[width_ + d]);
        cache_halves_.data()[now + half + d] = kernels::to_bf16(qkv[2 * width_ + d]);
      }
      attention.keys = cache_halves_.data() + base;
      attention.values = cache_halves_.data() + base + half;
      vector_.self_attention_bf16(attention);
    }
  }
  team_.barrier();  // heads of a row may have had several owners
}

void CpuEngine::cross_attention(int thread, std::int64_t layer) {
  // Neighbouring rows of one picture read its keys once. Tasks are counted as they come: group by group, head by head.
  std::int64_t num_groups = 0;
  for (std::int64_t i = 0; i < num_rows_; ++i)
    num_groups += i == 0 || row_[static_cast<std::size_t>(i)].picture != row_[static_cast<std::size_t>(i - 1)].picture;
  const Share tasks = share(num_groups * config_.n_head, thread, team_.size());
  std::int64_t task = 0;
  for (std::int64_t first = 0, last = 0; first < num_rows_ && task < tasks.end; first = last) {
    const std::int32_t index = row_[static_cast<std::size_t>(first)].picture;
    while (last < num_rows_ && row_[static_cast<std::size_t>(last)].picture == index) ++last;
    const CpuPicture& picture = pictures_[static_cast<std::size_t>(index)];
    const std::int64_t num_key_numbers = config_.n_layer * config_.n_head * head_size_ * picture.num_padded;
    for (std::int64_t head = 0; head < config_.n_head; ++head, ++task) {
      if (task < tasks.begin || task >= tasks.end) continue;
      const std::int64_t number = layer * config_.n_head + head;
      const std::int64_t keys = number * head_size_ * picture.num_padded;
      const std::int64_t values = num_key_numbers + number * picture.num_keys * head_padded_;
      kernels::CrossAttention attention{
          .query = qkv_.data() + first * width_ + head * head_size_,
          .rows = last - first,
          .ld = width_,
          .num_keys = picture.num_keys,
          .num_padded = picture.num_padded,
          .head_size = head_size_,
          .head_padded = head_padded_,
          .scale = layers_[static_cast<std::size_t>(layer)].scale,
          .scores = scratch_[static_cast<std::size_t>(thread)].attention.data(),
          .out = attended_.data() + first * width_ + head * head_size_,
      };
      if (wide_cache_) {
        attention.keys = picture.floats.data() + keys;
        attention.values = picture.floats.data() + values;
        vector_.cross_attention_f32(attention);
      } else {
        attention.keys = picture.halves.data() + keys;
        attention.values = picture.halves.data() + values;
        vector_.cross_attention_bf16(attention);
      }
    }
  }
  team_.barrier();
}

}  // namespace capstan
