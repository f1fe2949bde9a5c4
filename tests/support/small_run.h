// A run's folder of a few lines, for tests of what is made of it.
#pragma once
#include <string>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/files.h"

namespace capstan::testing {

inline void save_checkpoint(RunDir& run, std::int64_t step, const std::string& best = "null") {
  run.save_checkpoint(step, [&](const fs::path& folder) {
    write_file_atomic(folder / "config.json", "{}");
    write_file_atomic(folder / "model.safetensors", "weights");
    write_file_atomic(folder / "trainer_state.json",
                      "{\"global_step\": " + std::to_string(step) +
                          ", \"max_steps\": 40, \"epoch\": 0.5, \"best_metric\": 0.75, "
                          "\"metric_for_best_model\": \"rougeL\", \"best_model_checkpoint\": " +
                          best + "}");
  });
}

// Two training lines, an evaluation, two events, two checkpoints, a configuration and the start of a line.
inline RunDir write_small_run(const fs::path& folder) {
  RunDir run(folder);
  run.append_metrics(R"({"step": 10, "epoch": 0.25, "loss": 4.0, "learning_rate": 5e-5, "grad_norm": 2.0, )"
                     R"("captions_per_second": 40.0, "data_wait": 0.25, "memory_bytes": 2147483648})");
  run.append_metrics(R"({"step": 15, "epoch": 0.3, "event": "update_skipped", "loss": null, "reason": "<nan>"})");
  run.append_metrics(R"({"step": 20, "epoch": 0.5, "loss": 1.0, "learning_rate": 2e-5, "grad_norm": 1.0, )"
                     R"("captions_per_second": 50.0, "data_wait": 0.01, "memory_bytes": 1073741824, )"
                     R"("mfu": null, "nested": {"loss": 7}})");
  run.append_metrics(R"({"step": 20, "epoch": 0.5, "eval_loss": 1.5, "eval_rougeL": 0.75, "eval_seconds": 3.25})");
  run.append_metrics(R"({"step": 20, "epoch": 0.5, "event": "save_failed", "path": "checkpoint-20"})");
  write_file_atomic(folder / "metrics.jsonl", read_file(folder / "metrics.jsonl") + R"({"step": 3)");
  run.write_config("data: coco  # where <from>\ntrain:\n  learning_rate: 5e-05\n");
  save_checkpoint(run, 10);
  save_checkpoint(run, 20, "\"checkpoint-20\"");
  return run;
}

}  // namespace capstan::testing
