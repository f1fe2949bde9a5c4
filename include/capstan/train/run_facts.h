// What a run ran on, for RUN/environment.json.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace capstan {

struct TrainingParts;
struct TrainerConfig;

// Names and values, in the order to be shown: versions, device, processor, processes, threads, start.
std::vector<std::pair<std::string, std::string>> run_facts(const TrainingParts& parts, const TrainerConfig& config);

}  // namespace capstan
