// Names to objects, and the three runs carried out. The only place that sees every list of plug-ins.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "capstan/app/runs.h"
#include "capstan/data/prepare.h"
#include "capstan/data/source.h"
#include "capstan/train/trainer.h"

namespace capstan::app {

// The sources that a run names. Everything wrong with their options goes to `problems`.
std::vector<std::unique_ptr<CaptionSource>> make_sources(const std::vector<config::Component>& components,
                                                         config::Problems& problems);

// Loads a run from a file and overrides and also checks the options of its plug-ins; ConfigError says all at once.
PrepareRun load_prepare_run(const std::string& path, const std::vector<std::string>& overrides);
TrainRun load_train_run(const std::string& path, const std::vector<std::string>& overrides);
EvaluateRun load_evaluate_run(const std::string& path, const std::vector<std::string>& overrides);

// `dry_run`: opens and checks every input, reports what would be done, writes nothing.
PrepareSummary run_prepare(const PrepareRun& run, bool dry_run);
// Processes that `capstan train` has to start on this host; 1: it trains itself, alone or as one of those that
// torchrun, SLURM or it started.
int processes_to_start(const TrainRun& run);
TrainResult run_train(const TrainRun& run, bool dry_run);
EvaluationReport run_evaluate(const EvaluateRun& run, bool dry_run);

// A text about a cache, model, run, checkpoint, shard or export, for `capstan inspect`.
std::string inspect(const std::filesystem::path& path);
// Parameters, memory and cost of a model folder, a checkpoint or a run's best one, as JSON.
std::string inspect_json(const std::filesystem::path& path);
// Recomputes the checksums of a cache or checkpoint: one sentence per file that is missing or altered.
std::vector<std::string> verify(const std::filesystem::path& path);

}  // namespace capstan::app
