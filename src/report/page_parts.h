// The parts of a run's page. Each returns HTML, or nothing where the run has nothing to show.
#pragma once
#include <string>
#include <string_view>

#include "capstan/report/run_data.h"

namespace capstan::report {

std::string_view page_style();

std::string header_part(const RunData& run);  // name, progress, the figures that matter most
std::string curves_part(const RunData& run);
std::string evaluations_part(const RunData& run);
std::string samples_part(const RunData& run);
std::string events_part(const RunData& run);
std::string checkpoints_part(const RunData& run);
std::string config_part(const RunData& run);
std::string environment_part(const RunData& run);

// The folder's name, also of "." and of a path that ends in a slash.
std::string run_name(const RunData& run);

// <section> with a heading that can be linked to.
std::string section(std::string_view id, std::string_view title, const std::string& body);

}  // namespace capstan::report
