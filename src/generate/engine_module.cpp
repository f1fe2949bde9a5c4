// The engine for any device and type: ATen operations over buffers that stay in place. On a GPU the operations of a
// step are recorded once for each rounded size and replayed, which spares the processor the launching of some 200
// kernels a step (transformers and vLLM do the same with "CUDA graphs").
#include <algorithm>
#include <map>
#include <memory>

#include "capstan/core/error.h"
#include "generate/engines.h"
#include "generate/module_step.h"
#include "nn/step_graph.h"

namespace capstan {
namespace {

constexpr std::int64_t kTokenStep = 32;  // sizes of recorded steps are rounded up to these
constexpr std::size_t kMaxGraphs = 64;

std::int64_t power_of_two(std::int64_t count, std::int64_t most) {
  std::int64_t rounded = 1;
  while (rounded < count) rounded *= 2;
  return std::min(rounded, most);
}

// Where things go when some leave and others are doubled, so that the first `parents.size()` slots are in use.
struct Moves {
  std::vector<std::int64_t> slots;     // of each of `parents`, in their order
  std::vector<std::int64_t> from, to;  // copies; no slot is in both
};

// The first child of a slot stays there if it may; other children are copied to slots that nobody has.
Moves plan_moves(const std::vector<std::int64_t>& parents) {
  const std::size_t count = parents.size();
  Moves moves{.slots = std::vector<std::int64_t>(count, -1)};
  std::vector<bool> taken(count, false);
  for (std::size_t i = 0; i < count; ++i) {
    const auto slot = static_cast<std::size_t>(parents[i]);
    if (slot >= count || taken[slot]) continue;
    taken[slot] = true;
    moves.slots[i] = parents[i];
  }
  std::size_t free = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (moves.slots[i] >= 0) continue;
    while (taken[free]) ++free;
    taken[free] = true;
    moves.slots[i] = static_cast<std::int64_t>(free);
    moves.from.push_back(parents[i]);
    moves.to.push_back(moves.slots[i]);
  }
  return moves;
}

class ModuleEngine final : public DecodeEngine {
 public:
  ModuleEngine(Gpt2& decoder, const EngineOptions& options, bool rounded)
      : rounded_(rounded), max_rows_(options.max_rows), max_tokens_(options.max_tokens), step_(decoder, options) {}

  std::int64_t rows() const override { return static_cast<std::int64_t>(texts_.size()); }

  void add(const at::Tensor& encoder_hidden_BSD, std::int64_t copies) override {
    const c10::InferenceMode no_gradients;
    const std::int64_t num_new = encoder_hidden_BSD.size(0), first = num_pictures();
    CAPSTAN_ASSERT(copies >= 1 && rows() + num_new * copies <= max_rows_);
    for (std::int64_t i = 0; i < num_new; ++i) {
      for (std::int64_t copy = 0; copy < copies; ++copy)
        texts_.push_back({.slot = rows(), .picture = first + i, .length = 0});
      num_keys_.push_back(encoder_hidden_BSD.size(1));
    }
    if (step_.add_pictures(encoder_hidden_BSD, first)) graphs_.clear();
  }

  const at::Tensor& step(std::span<const std::int64_t> tokens) override {
    const c10::InferenceMode no_gradients;
    CAPSTAN_ASSERT(static_cast<std::int64_t>(tokens.size()) == rows() && rows() > 0);
    const StepShape shape = make_shape();
    if (step_.stage(shape, make_inputs(tokens, shape))) graphs_.clear();
    logits_RV_ = run(shape).narrow(0, 0, rows());
    for (Text& text : texts_) ++text.length;
    return logits_RV_;
  }

  void select(std::span<const std::int64_t> rows) override {
    const c10::InferenceMode no_gradients;
    std::vector<Text> kept;
    std::vector<std::int64_t> slots;
    for (const std::int64_t row : rows) {
      CAPSTAN_ASSERT(row >= 0 && row < this->rows());
      kept.push_back(texts_[static_cast<std::size_t>(row)]);
      slots.push_back(kept.back().slot);
    }
    texts_ = std::move(kept);
    const Moves moves = plan_moves(slots);
    for (std::size_t i = 0; i < texts_.size(); ++i) texts_[i].slot = moves.slots[i];
    step_.copy_rows(moves.from, moves.to, longest());
    drop_pictures();
  }

 private:
  struct Text {
    std::int64_t slot = 0;     // where its keys are
    std::int64_t picture = 0;  // and those of its picture
    std::int64_t length = 0;   // tokens so far
  };

  std::int64_t num_pictures() const { return static_cast<std::int64_t>(num_keys_.size()); }
  std::int64_t longest() const {
    std::int64_t length = 0;
    for (const Text& text : texts_) length = std::max(length, text.length);
    return length;
  }

  at::Tensor run(const StepShape& shape) {
    if (!can_record_steps(step_.device())) return step_.run(shape);
    auto& graph = graphs_[shape];
    if (!graph) {
      if (graphs_.size() > kMaxGraphs) graphs_.clear();
      graphs_[shape] = record_step(step_.device(), [this, shape] { return step_.run(shape); });
    }
    return graphs_[shape]->replay();
  }

  StepShape make_shape() const {
    std::vector<std::int64_t> counts(num_keys_.size(), 0);
    for (const Text& text : texts_) ++counts[static_cast<std::size_t>(text.picture)];
    StepShape shape{.rows = rows(),
                    .tokens = longest() + 1,
                    .pictures = num_pictures(),
                    .beams = *std::max_element(counts.begin(), counts.end()),
                    .image_tokens = step_.image_tokens()};
    CAPSTAN_ASSERT(shape.tokens <= max_tokens_);
    if (step_.config().add_cross_attention)
      shape.uneven = *std::min_element(num_keys_.begin(), num_keys_.end()) != shape.image_tokens;
    if (!rounded_) return shape;
    shape.rows = power_of_two(shape.rows, max_rows_);
    shape.pictures = std::max(num_pictures(), std::min(power_of_two(shape.pictures, max_rows_), step_.room()));
    shape.tokens = std::min((shape.tokens + kTokenStep - 1) / kTokenStep * kTokenStep, max_tokens_);
    return shape;
  }

  // Rows and pictures that are there only to fill up a rounded size write to slots that nobody has.
  StepInputs make_inputs(std::span<const std::int64_t> tokens, const StepShape& shape) const {
    const auto num_rows = static_cast<std::size_t>(shape.rows);
    StepInputs inputs{.ids = std::vector<std::int64_t>(num_rows, 0),
                      .positions = std::vector<std::int64_t>(num_rows, 0),
                      .place_of_row = std::vector<std::int64_t>(num_rows, 0),
                      .row_of_place = std::vector<std::int64_t>(static_cast<std::size_t>(shape.pictures * shape.beams)),
                      .num_keys = num_keys_,
                      .slot_of_text = std::vector<std::int64_t>(num_rows, 0)};
    inputs.num_keys.resize(static_cast<std::size_t>(shape.pictures), shape.image_tokens);
    std::vector<std::int64_t> counts(num_keys_.size(), 0);
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      const Text& text = texts_[i];
      const auto slot = static_cast<std::size_t>(text.slot);
      const std::int64_t place = text.picture * shape.beams + counts[static_cast<std::size_t>(text.picture)]++;
      inputs.ids[slot] = tokens[i];
      inputs.positions[slot] = text.length;
      inputs.place_of_row[slot] = place;
      inputs.row_of_place[static_cast<std::size_t>(place)] = text.slot;
      inputs.slot_of_text[i] = text.slot;
    }
    return inputs;
  }

  void drop_pictures() {
    std::vector<std::int64_t> kept;
    for (const Text& text : texts_) kept.push_back(text.picture);
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    if (kept.size() == num_keys_.size()) return;
    const Moves moves = plan_moves(kept);
    step_.copy_pictures(moves.from, moves.to);
    std::vector<std::int64_t> num_keys(kept.size()), place(num_keys_.size(), -1);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto old = static_cast<std::size_t>(kept[i]);
      num_keys[static_cast<std::size_t>(moves.slots[i])] = num_keys_[old];
      place[old] = moves.slots[i];
    }
    num_keys_ = std::move(num_keys);
    for (Text& text : texts_) text.picture = place[static_cast<std::size_t>(text.picture)];
  }

  bool rounded_;
  std::int64_t max_rows_, max_tokens_;
  ModuleStep step_;
  std::vector<Text> texts_;             // in the caller's order
  std::vector<std::int64_t> num_keys_;  // image tokens of each picture
  std::map<StepShape, std::unique_ptr<StepGraph>> graphs_;
  at::Tensor logits_RV_;
};

}  // namespace

std::unique_ptr<DecodeEngine> make_module_engine(Gpt2& decoder, const EngineOptions& options) {
  return make_module_engine(decoder, options, can_record_steps(decoder.parameters().front().device()));
}

std::unique_ptr<DecodeEngine> make_module_engine(Gpt2& decoder, const EngineOptions& options, bool rounded) {
  return std::make_unique<ModuleEngine>(decoder, options, rounded);
}

}  // namespace capstan
