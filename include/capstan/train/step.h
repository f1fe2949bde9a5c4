// One update: micro-batches in, changed weights out.
#pragma once
#include <limits>
#include <memory>
#include <span>

#include "capstan/data/batch.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/parallel/reducer.h"
#include "capstan/parallel/world.h"
#include "capstan/train/config.h"
#include "capstan/train/ema.h"
#include "capstan/train/figures.h"
#include "capstan/train/optimizer.h"
#include "capstan/train/precision.h"

namespace capstan {

// What an update was made of, over all processes.
struct StepCounts {
  std::int64_t captions = 0;
  std::int64_t images = 0;  // encoded
  std::int64_t tokens = 0;  // labels that count in the loss
};

struct StepResult {
  StepCounts counts;
  double learning_rate = 0;
  double loss = 0;       // mean over the real tokens of all micro-batches of all processes
  double grad_norm = 0;  // before clipping
  double loss_scale = 1;
  bool skipped = false;     // the weights are as before: loss or gradient was not finite, or above the limit
  bool overflowed = false;  // skipped because float16 gradients overflowed, which the loss scale puts right
};

// What the processes tell each other before an update, besides what it is made of.
struct StepSignals {
  int stop = 0;        // signal that asks for the end; the largest counts
  bool save = false;   // a checkpoint is asked for
  double seconds = 0;  // of training so far, by the main process
};

// The outcome of an update that the device may still be working on.
class PendingStep {
 public:
  PendingStep(StepResult known, DeviceFigures figures, bool scaled)
      : known_(known), figures_(std::move(figures)), scaled_(scaled) {}
  StepResult result();  // once; waits for the device where it has to

 private:
  StepResult known_;
  DeviceFigures figures_;  // loss, norm, skipped, loss scale, overflowed
  bool scaled_;
};

class RecordedLoss;

class UpdateStep {
 public:
  UpdateStep(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor, const TrainerConfig& config,
             c10::Device device, std::shared_ptr<const World> world = nullptr, const ParallelConfig& parallel = {});
  ~UpdateStep();

  // Sums what `batches` hold over the processes and brings their signals together. All must call it.
  StepCounts agree(std::span<const CaptionBatch> batches, StepSignals& signals) const;
  // Forward and backward of every micro-batch, the sum over processes, clipping, finite check and the optimizer's
  // update, unless the loss is above `loss_limit`. The model must be in training mode. Gradients are dropped
  // afterwards. `step` counts updates from 1.
  PendingStep run(std::span<const CaptionBatch> batches, const StepCounts& counts, std::int64_t step,
                  double learning_rate, double loss_limit = std::numeric_limits<double>::infinity());

  Optimizer& optimizer() { return *optimizer_; }
  Ema& ema() { return ema_; }
  GradScaler& scaler() { return scaler_; }
  std::span<const NamedParameter> parameters() const { return parameters_; }

 private:
  at::Tensor backward(std::span<const CaptionBatch> batches, std::int64_t num_tokens);
  DeviceFigures apply(const at::Tensor& loss, double learning_rate, double loss_limit);
  void drop_gradients();

  std::shared_ptr<VisionEncoderDecoder> model_;
  ImageProcessor processor_;
  TrainerConfig config_;
  c10::Device device_;
  std::shared_ptr<const World> world_;
  std::vector<NamedParameter> parameters_;
  std::unique_ptr<GradientReducer> reducer_;
  std::unique_ptr<RecordedLoss> recorded_;
  std::unique_ptr<Optimizer> optimizer_;
  Ema ema_;
  GradScaler scaler_;
};

}  // namespace capstan
