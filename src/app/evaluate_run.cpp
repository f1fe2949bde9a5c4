// capstan evaluate: a model folder over a split of a cache.
#include <fmt/format.h>

#include "capstan/app/build.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/generate/captioner.h"

namespace capstan::app {

EvaluationReport run_evaluate(const EvaluateRun& run, bool dry_run) {
  const auto model_directory = resolve_model_directory(run.model);
  const Cache cache(run.data, run.split);
  const auto set_length = [&](GenerationConfig& generation) {
    if (run.max_new_tokens > 0) generation.max_new_tokens = run.max_new_tokens;
  };
  Captioner captioner(model_directory, {.device = run.device, .dtype = run.dtype, .generation = set_length});
  if (captioner.processor().config().size != cache.image_size())
    throw ConfigError(fmt::format("{}: sees {}x{} pixels, but {} holds {}x{}", model_directory.string(),
                                  captioner.processor().config().size, captioner.processor().config().size, run.data,
                                  cache.image_size(), cache.image_size()));
  if (dry_run) {
    log_info(fmt::format("dry run: {} images of {} ({}), captions by {}, to {}", cache.num_images(), run.data,
                         run.split, model_directory.string(), run.output));
    return {};
  }
  require_output_directory(run.output, run.overwrite);
  EvaluationOptions options;
  options.metrics = run.metrics;
  options.metric.use_stemmer = run.use_stemmer;
  options.batch_size = run.batch_size;
  options.max_images = run.max_images;
  log_info(fmt::format("evaluating {} on {} images", model_directory.string(), cache.num_images()));
  EvaluationReport report =
      evaluate(captioner.model(), cache, captioner.processor(), captioner.tokenizer(), captioner.generation(), options);
  write_evaluation(report, fs::path(run.output) / "evaluation.json");
  write_file_atomic(fs::path(run.output) / "config.yaml", config::to_yaml(run));
  return report;
}

}  // namespace capstan::app
