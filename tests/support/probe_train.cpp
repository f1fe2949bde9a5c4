// Training command of the probe that the Python tests drive:
//   train MODEL_DIR BATCHES.safetensors OPTIONS.json OUTPUT_DIR [ADAPTER_DIR]
// BATCHES holds "pixels.<n>" (uint8 [B, H, W, 3]) and "labels.<n>" (int64 [B, T]), micro-batch n counted from 0.
// OPTIONS are keys of the trainer's configuration. Runs the trainer's update on them in order, writes
// OUTPUT_DIR/steps.json (loss, grad_norm and learning_rate of each update) and the model, with an adapter merged in.
#include <nlohmann/json.hpp>
#include <string_view>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/config/load.h"  // JSON is YAML
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/models/adapters.h"
#include "capstan/models/pretrained.h"
#include "capstan/train/config.h"
#include "capstan/train/freeze.h"
#include "capstan/train/schedule.h"
#include "capstan/train/step.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

std::vector<CaptionBatch> read_batches(const TensorMap& tensors) {
  std::vector<CaptionBatch> batches;
  std::int64_t image = 0;
  for (std::size_t n = 0; tensors.contains("labels." + std::to_string(n)); ++n) {
    CaptionBatch& batch = batches.emplace_back();
    batch.pixels_PHWC = tensors.at("pixels." + std::to_string(n));
    batch.labels_BT = tensors.at("labels." + std::to_string(n));
    batch.num_label_tokens = batch.labels_BT.ne(-100).sum().item<std::int64_t>();
    for (std::int64_t row = 0; row < batch.labels_BT.size(0); ++row) {
      batch.images.push_back(image++);
      batch.picture_of_row.push_back(row);
    }
    batch.captions = batch.images;
    batch.num_captions = batch.labels_BT.size(0);
  }
  return batches;
}

}  // namespace

// Exit code, or -1 when argv[1] is not this command.
int probe_train(int argc, char** argv) {
  if (argc < 6 || argc > 7 || std::string_view(argv[1]) != "train") return -1;
  const fs::path model_dir = argv[2], batches_file = argv[3], options_file = argv[4], output = argv[5];
  const auto config = config::load<TrainerConfig>(options_file, {});
  const auto batches = read_batches(read_safetensors(batches_file));
  const auto accumulation = static_cast<std::size_t>(config.gradient_accumulation_steps);
  const auto num_steps = static_cast<std::int64_t>(batches.size() / accumulation);
  const ScheduleOptions schedule{.num_warmup_steps = num_warmup_steps(config, num_steps),
                                 .num_training_steps = num_steps,
                                 .learning_rate = config.learning_rate,
                                 .kwargs = config.lr_scheduler_kwargs};

  const auto model = load_pretrained(model_dir);
  if (argc == 7) {
    for (const at::Tensor& parameter : model->parameters()) parameter.set_requires_grad(false);
    load_adapter(*model, argv[6]);
  }
  apply_freeze(*model, config.freeze, config.unfreeze);
  model->set_gradient_checkpointing(config.gradient_checkpointing);
  model->train();
  UpdateStep update(model, ImageProcessor(), config, c10::kCPU);
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const std::span micro(batches.data() + static_cast<std::size_t>(step) * accumulation, accumulation);
    const double factor = schedules().find(config.lr_scheduler_type).factor(step, schedule);
    StepSignals signals;
    const StepResult result =
        update.run(micro, update.agree(micro, signals), step + 1, config.learning_rate * factor).result();
    steps.push_back({{"loss", result.loss}, {"grad_norm", result.grad_norm}, {"learning_rate", result.learning_rate}});
  }
  fs::create_directories(output);
  write_json(output / "steps.json", steps);
  merge_adapter(*model);
  save_pretrained(*model, output);
  return 0;
}
