// The forward and backward pass of a micro-batch as one recorded piece of device work, for shapes that come again.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "capstan/train/config.h"
#include "capstan/train/loss.h"
#include "capstan/train/optimizer.h"
#include "capstan/train/precision.h"
#include "nn/step_graph.h"

namespace capstan {

// Texts are padded to a multiple of 8 tokens and real positions to a multiple of 64, so that shapes repeat; what is
// added counts nothing. Gradients of the parameters are made here once and must stay where they are: they may be set
// to zero, not dropped.
class RecordedLoss {
 public:
  // record_step(), or what stands for it in a test.
  using Recorder =
      std::function<std::unique_ptr<StepGraph>(const std::function<at::Tensor()>& work, const StepGraph* beside)>;

  RecordedLoss(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor, const TrainerConfig& config,
               std::span<const NamedParameter> parameters, c10::Device device, Recorder recorder);

  // Adds the gradients of `scale` times the loss of `batch`, times the loss scale where there is one, to those of the
  // parameters, and returns scale * loss. Nothing where the shape has no recording: it is made when a shape is met for
  // the second time while the gradients are zero (`first` of the update), for the 32 shapes that are first to do so.
  std::optional<at::Tensor> backward(const CaptionBatch& batch, double scale, const GradScaler& scaler, bool first);

 private:
  using Shape = std::array<std::int64_t, 7>;
  struct Recording {
    int seen = 0;
    LossInputs inputs;  // on the device; every replay reads them
    at::Tensor outer;   // gradient of the loss
    std::unique_ptr<StepGraph> graph;
  };

  void record(Recording& recording, const LossInputs& inputs);
  static void stage(Recording& recording, const LossInputs& inputs, double scale, const GradScaler& scaler);

  std::shared_ptr<VisionEncoderDecoder> model_;
  ImageProcessor processor_;
  TrainerConfig config_;
  std::vector<at::Tensor> parameters_;
  c10::Device device_;
  Recorder recorder_;
  std::map<Shape, Recording> recordings_;
  const StepGraph* any_ = nullptr;  // one of them, whose memory the others share
  int num_recorded_ = 0;
};

}  // namespace capstan
