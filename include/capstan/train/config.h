// Options of training, by the names and meanings of Hugging Face's TrainingArguments where they exist there.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/core/fields.h"
#include "capstan/train/config_sections.h"
#include "capstan/train/schedule.h"

namespace capstan {

struct TrainerConfig {
  int per_device_train_batch_size = 8;
  bool auto_find_batch_size = false;
  int gradient_accumulation_steps = 1;
  double num_train_epochs = 3;
  std::int64_t max_steps = -1;
  std::string max_time;
  std::string optim = "adamw";
  double learning_rate = 5e-5;
  std::string lr_scheduler_type = "linear";
  ScheduleKwargs lr_scheduler_kwargs;
  std::int64_t warmup_steps = 0;
  double warmup_ratio = 0;
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1;
  std::vector<ParamGroupConfig> param_groups;
  double layer_wise_lr_decay = 1;
  EmaConfig ema;
  bool bf16 = false;
  bool fp16 = false;
  bool tf32 = true;
  bool deterministic = false;
  bool cuda_graphs = false;
  bool gradient_checkpointing = false;
  std::vector<std::string> freeze;
  std::vector<std::string> unfreeze;
  double label_smoothing_factor = 0;
  double z_loss = 0;
  double embedding_gradient_shrink = 1;
  std::int64_t max_tokens = 64;
  std::string captions = "all";
  std::string captions_per_image = "1";
  bool group_by_length = false;
  std::vector<config::Component> augment;
  std::int64_t seed = 42;
  int dataloader_num_workers = 1;
  GuardConfig guard;
  std::string logging_steps = "50";
  std::string eval_strategy = "epoch";
  std::string eval_steps = "500";
  std::int64_t eval_max_images = 0;
  int per_device_eval_batch_size = 16;
  std::string save_steps = "500";
  std::int64_t save_total_limit = 3;
  std::string keep_every;
  bool async_save = true;
  std::string metric_for_best_model = "rougeL";
  bool load_best_model_at_end = false;
  std::vector<EarlyStoppingConfig> early_stopping;
  std::vector<std::string> report_to{"tensorboard", "html"};
  int report_images = 6;
  std::string on_event;
  bool profile = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("per_device_train_batch_size", per_device_train_batch_size,
      "Captions per forward pass, or pictures where captions_per_image is not 1.", between(1, 65536));
    v("auto_find_batch_size", auto_find_batch_size,
      "Try the longest batch first, and halve the batch, doubling the accumulation, until it fits in memory.");
    v("gradient_accumulation_steps", gradient_accumulation_steps,
      "Forward passes per update; the loss is the mean over all their tokens.", between(1, 65536));
    v("num_train_epochs", num_train_epochs, "Passes over the captions, fractions allowed.", above(0));
    v("max_steps", max_steps, "Number of updates; above 0 it replaces num_train_epochs.", at_least(-1));
    v("max_time", max_time, "End after so long, as 90 minutes or 12h, with a checkpoint to go on from.");
    v("optim", optim, "Optimizer, one of the optimizers in `capstan list`.");
    v("learning_rate", learning_rate, "Peak learning rate.", at_least(0));
    v("lr_scheduler_type", lr_scheduler_type, "Shape of the rate over time, one of the schedules in `capstan list`.");
    v("lr_scheduler_kwargs", lr_scheduler_kwargs, "Options of the schedule.");
    v("warmup_steps", warmup_steps, "Updates over which the rate rises from 0; above 0 it replaces warmup_ratio.",
      at_least(0));
    v("warmup_ratio", warmup_ratio, "The same as a share of all updates.", between(0, 1));
    v("weight_decay", weight_decay, "Decoupled decay of all weights except biases and normalisation layers.",
      at_least(0));
    v("adam_beta1", adam_beta1, "Decay of AdamW's mean of gradients.", between(0, 1));
    v("adam_beta2", adam_beta2, "Decay of AdamW's mean of squared gradients.", between(0, 1));
    v("adam_epsilon", adam_epsilon, "Added to AdamW's denominator.", at_least(0));
    v("max_grad_norm", max_grad_norm, "Gradients are scaled down to this total norm; 0 leaves them.", at_least(0));
    v("param_groups", param_groups, "Parameters with a rate or decay of their own.");
    v("layer_wise_lr_decay", layer_wise_lr_decay,
      "Each block of the encoder and of the decoder learns at this share of the rate of the block above it.",
      between(0.01, 1));
    v("ema", ema, "Moving average of the weights.");
    v("bf16", bf16, "Compute in bfloat16 where it is safe; weights and optimizer stay float32.");
    v("fp16", fp16, "The same in float16, with the loss scaled so that small gradients survive.");
    v("tf32", tf32, "Let products of float32 use TensorFloat-32 on GPUs that have it.");
    v("deterministic", deterministic,
      "On a GPU, only algorithms that give the same bits each time; slower. A CPU always does.");
    v("cuda_graphs", cuda_graphs,
      "Record forward and backward on a GPU once for each shape of batch and replay them. For one process, and while "
      "batches are so small that launching takes longer than computing.");
    v("gradient_checkpointing", gradient_checkpointing,
      "Keep only the input of each block and compute the block again for the gradients: less memory, more time.");
    v("freeze", freeze,
      "Parameters that are not trained: a name and all below it (encoder), a pattern with * and ? for the whole name "
      "(decoder.*.ln_?.*), or regex: and a regular expression.");
    v("unfreeze", unfreeze, "Exceptions, in the same form; with lora, what is trained besides the adapter.");
    v("label_smoothing_factor", label_smoothing_factor, "Share of the target spread over the whole vocabulary.",
      between(0, 1));
    v("z_loss", z_loss, "Adds z_loss * log(sum of exp(logits))^2 per token, which keeps logits small; 1e-4 is usual.",
      at_least(0));
    v("embedding_gradient_shrink", embedding_gradient_shrink,
      "Share of the gradient that reaches the token embeddings from the decoder's input, as 0.1 for stability.",
      between(0, 1));
    v("max_tokens", max_tokens, "Longer captions are cut to this many tokens; the end token comes on top.",
      between(1, 100000));
    v("captions", captions,
      "What an epoch consists of: every caption, the first of each picture, or one of each picture drawn anew.",
      one_of({"all", "first", "random"}));
    v("captions_per_image", captions_per_image,
      "Captions of a picture that are trained on together, which encodes it once for all of them: a number, or all.");
    v("group_by_length", group_by_length, "Put captions of similar length into a batch, to save padding.");
    v("augment", augment,
      "Transforms of the training pictures, in order, drawn anew for each caption and epoch; `capstan list` names "
      "them.");
    v("seed", seed, "Seed of the order of captions, of augmentation and of dropout.", at_least(0));
    v("dataloader_num_workers", dataloader_num_workers, "Threads that prepare batches.", between(1, 256));
    v("guard", guard, "What happens when an update looks wrong.");
    v("logging_steps", logging_steps,
      "Time between two lines of metrics.jsonl: updates (50), or with a unit (0.1 epochs, 1M tokens, 10 minutes).");
    v("eval_strategy", eval_strategy, "When the validation split is captioned and scored; the end counts too.",
      one_of({"no", "steps", "epoch"}));
    v("eval_steps", eval_steps, "Time between evaluations with eval_strategy: steps, as logging_steps.");
    v("eval_max_images", eval_max_images, "Validation pictures used during training; 0 means all.", at_least(0));
    v("per_device_eval_batch_size", per_device_eval_batch_size, "Pictures captioned together.", between(1, 65536));
    v("save_steps", save_steps, "Time between checkpoints, as logging_steps; 0 saves only the best and the last.");
    v("save_total_limit", save_total_limit, "Newest checkpoints kept, the best on top; 0 keeps all.", at_least(0));
    v("keep_every", keep_every, "Checkpoints that are kept for good, as logging_steps (10000 steps); empty: none.");
    v("async_save", async_save, "Write checkpoints in the background, from a copy in memory.");
    v("metric_for_best_model", metric_for_best_model,
      "Score that decides which checkpoint is best: a metric such as rougeL, or loss. A new best is saved at once.");
    v("load_best_model_at_end", load_best_model_at_end,
      "Put the best weights back into the model after the last step.");
    v("early_stopping", early_stopping, "Scores that end training when they no longer get better.");
    v("report_to", report_to, "What is written for people besides metrics.jsonl: tensorboard, html.");
    v("report_images", report_images, "Validation pictures whose captions are shown there.", between(0, 64));
    v("on_event", on_event,
      "Shell command run at start, best, failure and end, with CAPSTAN_EVENT, CAPSTAN_RUN, CAPSTAN_STEP and "
      "CAPSTAN_MESSAGE in its environment.");
    v("profile", profile, "Write RUN/trace.json, a Chrome trace of five updates.");
  }
  void check(std::vector<std::string>& problems) const;
};

// Number of updates of `world_size` processes when an epoch has `num_samples` samples: max_steps, or the epochs in
// whole updates, rounded up.
std::int64_t num_training_steps(const TrainerConfig& config, std::int64_t num_samples, int world_size = 1);
// Samples of one update, over all processes.
std::int64_t samples_per_step(const TrainerConfig& config, int world_size);
// captions_per_image as Sampler takes it: 0 for all.
std::int64_t captions_per_image(const TrainerConfig& config);
// warmup_steps, or the share warmup_ratio of `num_steps`, rounded up.
std::int64_t num_warmup_steps(const TrainerConfig& config, std::int64_t num_steps);

}  // namespace capstan
