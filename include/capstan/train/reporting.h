// What people look at while a run goes on: TensorBoard files, RUN/samples.json, RUN/environment.json, RUN/report.html.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capstan/data/cache.h"
#include "capstan/eval/evaluator.h"
#include "capstan/report/events.h"
#include "capstan/train/config.h"

namespace capstan {

// Nothing here is worth ending a run for: a full disk is a warning.
class Reporting {
 public:
  Reporting(const TrainerConfig& config, std::filesystem::path run, std::int64_t steps_done);
  void scalars(const std::string& group, std::int64_t step, const std::vector<std::pair<std::string, double>>& values);
  // Captions of the first report_images pictures of an evaluation, beside the pictures.
  void samples(std::int64_t step, const Cache& cache, const EvaluationReport& evaluation);
  void write_environment(const std::vector<std::pair<std::string, std::string>>& facts);
  void go_on_after(std::int64_t steps_done);  // a rollback
  void refresh();                             // writes out what is waiting, and report.html

 private:
  template <class Work>
  void guarded(Work work);
  std::filesystem::path run_;
  int num_images_;
  bool html_;
  std::unique_ptr<EventWriter> events_;
  bool warned_ = false;
};

}  // namespace capstan
