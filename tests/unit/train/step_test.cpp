#include "capstan/train/step.h"

#include <limits>

#include "capstan/train/loss.h"
#include "capstan/train/param_groups.h"
#include "support/tiny_training.h"
#include "train/recorded_loss.h"

using namespace capstan;

namespace {

std::shared_ptr<VisionEncoderDecoder> make_model(double dropout = 0) {
  auto model = create_model(testing::tiny_model_config(dropout), 3);
  model->train();
  return model;
}

ImageProcessor make_processor() { return ImageProcessor(ImageProcessorConfig{.size = testing::kTinyImageSize}); }

// Captions of 2, 5 and 3 tokens with their end token; the first and last row show the same picture.
CaptionBatch make_batch() {
  at::manual_seed(5);
  CaptionBatch batch;
  batch.pixels_PHWC = at::randint(0, 256, {2, testing::kTinyImageSize, testing::kTinyImageSize, 3}, at::kByte);
  batch.labels_BT = at::full({3, 6}, -100, at::kLong);
  const std::vector<std::vector<std::int64_t>> captions{{10, 11, 256}, {20, 21, 22, 23, 24, 256}, {30, 31, 32, 256}};
  for (std::size_t row = 0; row < captions.size(); ++row)
    for (std::size_t at = 0; at < captions[row].size(); ++at)
      batch.labels_BT[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(at)] = captions[row][at];
  batch.num_label_tokens = 13;
  batch.num_captions = 3;
  batch.images = {0, 1};
  batch.captions = {0, 1, 2};
  batch.picture_of_row = {0, 1, 0};
  return batch;
}

CaptionBatch row_of(const CaptionBatch& batch, std::int64_t row) {
  CaptionBatch single;
  const std::int64_t picture = batch.picture_of_row[static_cast<std::size_t>(row)];
  single.pixels_PHWC = batch.pixels_PHWC.slice(0, picture, picture + 1);
  single.labels_BT = batch.labels_BT.slice(0, row, row + 1);
  single.num_label_tokens = single.labels_BT.ne(-100).sum().item<std::int64_t>();
  single.num_captions = 1;
  single.images = {batch.images[static_cast<std::size_t>(picture)]};
  single.captions = {row};
  single.picture_of_row = {0};
  return single;
}

// The textbook formula: logits everywhere, padding ignored.
at::Tensor plain_loss_sum(VisionEncoderDecoder& model, const CaptionBatch& batch, double smoothing) {
  const at::Tensor pixels_BHWC = batch.pixels_PHWC.index_select(0, at::tensor(batch.picture_of_row));
  const at::Tensor hidden = model.encode(make_processor().normalize(pixels_BHWC));
  const at::Tensor logits = model.decode(shift_tokens_right(batch.labels_BT, 256, 256), hidden);
  return at::cross_entropy_loss(logits.flatten(0, 1), batch.labels_BT.flatten(), {}, at::Reduction::Sum, -100,
                                smoothing);
}

TensorMap gradients(VisionEncoderDecoder& model, const at::Tensor& loss) {
  model.zero_grad();
  loss.backward();
  TensorMap result;
  for (const auto& parameter : trainable_parameters(model, TrainerConfig{}))
    result[parameter.name] = parameter.tensor.grad().clone();
  return result;
}

StepResult run(UpdateStep& step, std::span<const CaptionBatch> batches, double learning_rate) {
  StepSignals signals;
  return step.run(batches, step.agree(batches, signals), 1, learning_rate).result();
}

TensorMap weights_after(const std::vector<CaptionBatch>& batches) {
  auto model = make_model();
  UpdateStep step(model, make_processor(), TrainerConfig{}, c10::kCPU);
  for (int i = 0; i < 3; ++i) run(step, batches, 1e-2);
  TensorMap result;
  for (const auto& [name, tensor] : model->state()) result[name] = tensor.clone();
  return result;
}

// Stands for a recording: the same work is done again on what then lies in its inputs.
class Again final : public StepGraph {
 public:
  explicit Again(std::function<at::Tensor()> work) : work_(std::move(work)) { work_(); }
  const at::Tensor& replay() override { return result_ = work_(); }

 private:
  std::function<at::Tensor()> work_;
  at::Tensor result_;
};

}  // namespace

TEST_CASE("the loss over real positions equals the plain formula, gradients too", "[train][loss]") {
  const double smoothing = GENERATE(0.0, 0.1);
  const auto model = make_model();
  const CaptionBatch batch = make_batch();
  const at::Tensor loss = caption_loss(*model, make_processor(), batch, {.label_smoothing = smoothing}, c10::kCPU);
  const at::Tensor plain = plain_loss_sum(*model, batch, smoothing);
  CHECK(loss.item<double>() == Approx(plain.item<double>()).epsilon(1e-6));
  const TensorMap expected = gradients(*model, plain);
  const TensorMap found =
      gradients(*model, caption_loss(*model, make_processor(), batch, {.label_smoothing = smoothing}, c10::kCPU));
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, gradient] : expected) {
    INFO(name);
    CHECK((found.at(name) - gradient).abs().max().item<double>() < 1e-4);
  }
}

TEST_CASE("recorded work on padded shapes gives the loss and gradients of the batch at hand", "[train][loss]") {
  const auto model = make_model(), plain = make_model();
  TrainerConfig config;
  config.label_smoothing_factor = 0.1;
  config.z_loss = 1e-2;
  const auto parameters = trainable_parameters(*model, config);
  RecordedLoss recorded(model, make_processor(), config, parameters, c10::kCPU,
                        [](const auto& work, const StepGraph*) { return std::make_unique<Again>(work); });
  const GradScaler scaler(config, c10::kCPU);
  const LossOptions options{.label_smoothing = 0.1, .z_loss = 1e-2, .scale = 0.25};
  CaptionBatch batch = make_batch(), other = make_batch();
  other.pixels_PHWC = other.pixels_PHWC.flip(0);
  other.labels_BT = other.labels_BT.roll(1, 0).narrow(1, 0, 6).contiguous();
  CHECK_FALSE(recorded.backward(batch, 0.25, scaler, true));   // met once
  CHECK_FALSE(recorded.backward(batch, 0.25, scaler, false));  // there are gradients that trying would change
  for (const CaptionBatch* now : {&batch, &other}) {
    CaptionBatch untouched = *now;
    untouched.pixels_PHWC = now->pixels_PHWC.clone();
    const at::Tensor expected = caption_loss(*plain, make_processor(), *now, options, c10::kCPU);
    const TensorMap theirs = gradients(*plain, expected);
    const auto loss = recorded.backward(*now, 0.25, scaler, true);
    REQUIRE(loss);
    CHECK(loss->item<double>() == Approx(expected.item<double>()).epsilon(1e-6));
    for (const NamedParameter& parameter : parameters) {
      INFO(parameter.name);
      CHECK(at::allclose(parameter.tensor.grad(), theirs.at(parameter.name), 1e-4, 1e-6));
      parameter.tensor.grad().zero_();
    }
    CHECK(now->pixels_PHWC.equal(untouched.pixels_PHWC));
  }
}

TEST_CASE("the update does not depend on how captions are cut into micro-batches", "[train][step]") {
  const CaptionBatch whole = make_batch();
  const TensorMap expected = weights_after({whole});
  const TensorMap found = weights_after({row_of(whole, 0), row_of(whole, 1), row_of(whole, 2)});
  for (const auto& [name, weight] : expected) {
    INFO(name);
    CHECK((found.at(name) - weight).abs().max().item<double>() < 1e-4);
  }
}

TEST_CASE("the reported loss is the mean over real tokens", "[train][step]") {
  auto model = make_model();
  const CaptionBatch batch = make_batch();
  const double expected = plain_loss_sum(*model, batch, 0).item<double>() / 13;
  UpdateStep step(model, make_processor(), TrainerConfig{}, c10::kCPU);
  const StepResult result = run(step, std::span(&batch, 1), 1e-3);
  CHECK(result.loss == Approx(expected).epsilon(1e-6));
  CHECK(result.counts.tokens == 13);
  CHECK(result.counts.captions == 3);
  CHECK(result.counts.images == 2);
  CHECK(result.grad_norm > 0);
}

TEST_CASE("an update with a loss that is not finite leaves the weights and the optimizer", "[train][step]") {
  auto model = make_model();
  UpdateStep step(model, make_processor(), TrainerConfig{}, c10::kCPU);
  const CaptionBatch batch = make_batch();
  at::Tensor embedding;
  for (const auto& parameter : step.parameters())
    if (parameter.name == "decoder.transformer.wte.weight") embedding = parameter.tensor;
  REQUIRE(embedding.defined());
  const at::Tensor before = model->state().at("encoder.embeddings.cls_token").clone();
  {
    const at::NoGradGuard no_grad;
    embedding[10][0] = std::numeric_limits<float>::quiet_NaN();
  }
  const StepResult result = run(step, std::span(&batch, 1), 1e-2);
  CHECK(result.skipped);
  CHECK(model->state().at("encoder.embeddings.cls_token").equal(before));
  CHECK(step.optimizer().state().at("step.encoder.embeddings.cls_token").item<double>() == 0);
}

TEST_CASE("autocast trains float32 weights with nearly the same loss", "[train][step]") {
  const CaptionBatch batch = make_batch();
  const auto loss = [&](const TrainerConfig& config) {
    const auto model = make_model();
    UpdateStep step(model, make_processor(), config, c10::kCPU);
    const StepResult result = run(step, std::span(&batch, 1), 1e-3);
    CHECK_FALSE(result.skipped);
    for (const auto& [name, tensor] : model->state()) CHECK(tensor.scalar_type() == at::kFloat);
    return result.loss;
  };
  TrainerConfig full, bf16, fp16;
  bf16.bf16 = true;
  fp16.fp16 = true;
  for (const TrainerConfig& config : {bf16, fp16}) {
    CHECK(loss(config) == Approx(loss(full)).epsilon(0.02));
    CHECK(loss(config) != loss(full));
  }
}

TEST_CASE("a float16 gradient that overflows halves the loss scale and is no fault", "[train][step]") {
  const CaptionBatch batch = make_batch();
  TrainerConfig config;
  config.fp16 = true;
  const auto model = make_model();
  UpdateStep step(model, make_processor(), config, c10::kCPU);
  at::Tensor(step.scaler().scale()).fill_(1e30);
  const at::Tensor before = model->state().at("encoder.embeddings.cls_token").clone();
  const StepResult result = run(step, std::span(&batch, 1), 1e-2);
  CHECK(result.skipped);
  CHECK(result.overflowed);
  CHECK(model->state().at("encoder.embeddings.cls_token").equal(before));
  CHECK(step.scaler().scale().item<double>() == Approx(5e29));
}

TEST_CASE("a loss above the limit is skipped", "[train][step]") {
  const CaptionBatch batch = make_batch();
  const auto model = make_model();
  UpdateStep step(model, make_processor(), TrainerConfig{}, c10::kCPU);
  const at::Tensor before = model->state().at("encoder.embeddings.cls_token").clone();
  StepSignals signals;
  const auto limited = [&](double limit) {
    return step.run(std::span(&batch, 1), step.agree(std::span(&batch, 1), signals), 1, 1e-2, limit).result();
  };
  CHECK(limited(0.5).skipped);
  CHECK(model->state().at("encoder.embeddings.cls_token").equal(before));
  CHECK_FALSE(limited(50).skipped);
  CHECK_FALSE(model->state().at("encoder.embeddings.cls_token").equal(before));
}

TEST_CASE("captions of one picture train as the same captions with copies of it", "[train][step]") {
  CaptionBatch shared = make_batch(), copied = make_batch();
  shared.pixels_PHWC = shared.pixels_PHWC.slice(0, 0, 1);
  shared.images = {0};
  shared.picture_of_row = {0, 0, 0};
  copied.pixels_PHWC = shared.pixels_PHWC.expand({3, -1, -1, -1}).contiguous();
  copied.images = {0, 0, 0};
  copied.picture_of_row = {0, 1, 2};
  const TensorMap expected = weights_after({copied}), found = weights_after({shared});
  for (const auto& [name, weight] : expected) {
    INFO(name);
    CHECK((found.at(name) - weight).abs().max().item<double>() < 1e-4);
  }
}
