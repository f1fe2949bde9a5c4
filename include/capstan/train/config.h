// Options of training, by the names and meanings of Hugging Face's TrainingArguments where they exist there.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/core/fields.h"

namespace capstan {

struct TrainerConfig {
  int per_device_train_batch_size = 8;
  int gradient_accumulation_steps = 1;
  double num_train_epochs = 3;
  std::int64_t max_steps = -1;
  std::string optim = "adamw";
  double learning_rate = 5e-5;
  std::string lr_scheduler_type = "linear";
  std::int64_t warmup_steps = 0;
  double warmup_ratio = 0;
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1;
  bool bf16 = false;
  bool gradient_checkpointing = false;
  std::vector<std::string> freeze;
  std::vector<std::string> unfreeze;
  double label_smoothing_factor = 0;
  std::int64_t max_tokens = 64;
  std::string captions = "all";
  bool group_by_length = false;
  std::vector<config::Component> augment;
  std::int64_t seed = 42;
  int dataloader_num_workers = 1;
  std::int64_t max_skipped_updates = 10;
  std::int64_t logging_steps = 50;
  std::string eval_strategy = "epoch";
  std::int64_t eval_steps = 500;
  std::int64_t eval_max_images = 0;
  int per_device_eval_batch_size = 16;
  std::int64_t save_steps = 500;
  std::int64_t save_total_limit = 3;
  std::string metric_for_best_model = "rougeL";
  bool load_best_model_at_end = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("per_device_train_batch_size", per_device_train_batch_size, "Captions per forward pass.", between(1, 65536));
    v("gradient_accumulation_steps", gradient_accumulation_steps,
      "Forward passes per update; the loss is the mean over all their tokens.", between(1, 65536));
    v("num_train_epochs", num_train_epochs, "Passes over the captions, fractions allowed.", above(0));
    v("max_steps", max_steps, "Number of updates; above 0 it replaces num_train_epochs.", at_least(-1));
    v("optim", optim, "Optimizer, one of the optimizers in `capstan list`.");
    v("learning_rate", learning_rate, "Peak learning rate.", at_least(0));
    v("lr_scheduler_type", lr_scheduler_type, "Shape of the rate over time, one of the schedules in `capstan list`.");
    v("warmup_steps", warmup_steps, "Updates over which the rate rises from 0; above 0 it replaces warmup_ratio.",
      at_least(0));
    v("warmup_ratio", warmup_ratio, "The same as a share of all updates.", between(0, 1));
    v("weight_decay", weight_decay, "Decoupled decay of all weights except biases and normalisation layers.",
      at_least(0));
    v("adam_beta1", adam_beta1, "Decay of AdamW's mean of gradients.", between(0, 1));
    v("adam_beta2", adam_beta2, "Decay of AdamW's mean of squared gradients.", between(0, 1));
    v("adam_epsilon", adam_epsilon, "Added to AdamW's denominator.", at_least(0));
    v("max_grad_norm", max_grad_norm, "Gradients are scaled down to this total norm; 0 leaves them.", at_least(0));
    v("bf16", bf16, "Compute in bfloat16 where it is safe; weights and optimizer stay float32.");
    v("gradient_checkpointing", gradient_checkpointing,
      "Keep only the input of each block and compute the block again for the gradients: less memory, more time.");
    v("freeze", freeze,
      "Parameters that are not trained: a name and all below it (encoder), a pattern with * and ? for the whole name "
      "(decoder.*.ln_?.*), or regex: and a regular expression.");
    v("unfreeze", unfreeze, "Exceptions, in the same form; with lora, what is trained besides the adapter.");
    v("label_smoothing_factor", label_smoothing_factor, "Share of the target spread over the whole vocabulary.",
      between(0, 1));
    v("max_tokens", max_tokens, "Longer captions are cut to this many tokens; the end token comes on top.",
      between(1, 100000));
    v("captions", captions,
      "What an epoch consists of: every caption, the first of each picture, or one of each picture drawn anew.",
      one_of({"all", "first", "random"}));
    v("group_by_length", group_by_length, "Put captions of similar length into a batch, to save padding.");
    v("augment", augment,
      "Transforms of the training pictures, in order, drawn anew for each caption and epoch; `capstan list` names "
      "them.");
    v("seed", seed, "Seed of the order of captions, of augmentation and of dropout.", at_least(0));
    v("dataloader_num_workers", dataloader_num_workers, "Threads that prepare batches.", between(1, 256));
    v("max_skipped_updates", max_skipped_updates,
      "Updates in a row that may be skipped for a loss or gradient that is not finite before training fails.",
      at_least(0));
    v("logging_steps", logging_steps, "Updates between two lines of metrics.jsonl.", at_least(1));
    v("eval_strategy", eval_strategy, "When the validation split is captioned and scored; the end counts too.",
      one_of({"no", "steps", "epoch"}));
    v("eval_steps", eval_steps, "Updates between evaluations with eval_strategy: steps.", at_least(1));
    v("eval_max_images", eval_max_images, "Validation pictures used during training; 0 means all.", at_least(0));
    v("per_device_eval_batch_size", per_device_eval_batch_size, "Pictures captioned together.", between(1, 65536));
    v("save_steps", save_steps, "Updates between checkpoints; 0 saves only the best and the last.", at_least(0));
    v("save_total_limit", save_total_limit, "Newest checkpoints kept, the best on top; 0 keeps all.", at_least(0));
    v("metric_for_best_model", metric_for_best_model,
      "Score that decides which checkpoint is best: a metric such as rougeL, or loss. A new best is saved at once.");
    v("load_best_model_at_end", load_best_model_at_end,
      "Put the best weights back into the model after the last step.");
  }
  void check(std::vector<std::string>& problems) const;
};

// Number of updates when an epoch has `num_samples` samples: max_steps, or the epochs in whole updates, rounded up.
std::int64_t num_training_steps(const TrainerConfig& config, std::int64_t num_samples);
// warmup_steps, or the share warmup_ratio of `num_steps`, rounded up.
std::int64_t num_warmup_steps(const TrainerConfig& config, std::int64_t num_steps);

}  // namespace capstan
