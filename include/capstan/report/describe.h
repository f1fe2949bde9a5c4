// Runs and checkpoints as text for `capstan inspect`.
#pragma once
#include <filesystem>
#include <string>

namespace capstan {

// Progress, throughput, events, best and last scores, a plot of the losses, and the checkpoints with their state.
// CheckpointError when the folder is no run.
std::string describe_run(const std::filesystem::path& run);

// Step, scores, files with sizes, and whether all files are as written.
std::string describe_checkpoint(const std::filesystem::path& checkpoint);

}  // namespace capstan
