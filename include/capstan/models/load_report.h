// What opening weights did to each parameter of a model.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace capstan {

struct MismatchedWeight {
  std::string name;
  std::vector<std::int64_t> file_shape;
  std::vector<std::int64_t> model_shape;
};

struct LoadReport {
  std::vector<std::string> newly_initialized;  // in the model, not in the files
  std::vector<std::string> unexpected;         // in the files, not in the model
  std::vector<MismatchedWeight> mismatched;    // in both, of different shapes; only where that is let pass

  bool empty() const { return newly_initialized.empty() && unexpected.empty() && mismatched.empty(); }
};

// One line per kind that has entries, with at most ten names each; empty where everything fitted.
std::string report_text(const LoadReport& report);

}  // namespace capstan
