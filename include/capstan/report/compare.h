// Two runs side by side, as text for a terminal.
#pragma once
#include <filesystem>
#include <string>

namespace capstan {

// Best and last scores, loss curves over each other, speed, and the configuration keys that differ, in lines of at most
// `width` columns (60 and more; longer values are cut). CheckpointError when one of them is no run.
std::string compare_runs(const std::filesystem::path& run_a, const std::filesystem::path& run_b, int width = 100);

}  // namespace capstan
