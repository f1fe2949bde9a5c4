// RUN/report.html: a run on one page that needs nothing from outside and runs no script.
#pragma once
#include <filesystem>
#include <string>

#include "capstan/report/run_data.h"

namespace capstan {

// The page of what `run` holds; a function of nothing else. Curves are thinned and lists are cut, so that it stays
// below a few MB however long the run is.
std::string report_page(const RunData& run);

// Reads the run's files and writes report.html beside them, atomically. Returns its path. CheckpointError when the
// folder is no run, DataError when the page cannot be written.
std::filesystem::path write_report(const std::filesystem::path& run);

}  // namespace capstan
