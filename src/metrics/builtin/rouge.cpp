// The metric "rouge": plain means of the F-measures of RougeScorer, best reference per score.
#include <cstdint>

#include "capstan/metrics/metric.h"
#include "capstan/metrics/rouge.h"

namespace capstan {
namespace {

class Rouge final : public Metric {
 public:
  explicit Rouge(bool use_stemmer) : scorer_(use_stemmer) {}

  void add(std::string_view prediction, std::span<const std::string> references) override {
    const RougeScores scores = scorer_.score_multi(prediction, references);
    last_ = {scores.rouge1.fmeasure, scores.rouge2.fmeasure, scores.rouge_l.fmeasure, scores.rouge_lsum.fmeasure};
    sum_.rouge1 += last_.rouge1;
    sum_.rouge2 += last_.rouge2;
    sum_.rouge_l += last_.rouge_l;
    sum_.rouge_lsum += last_.rouge_lsum;
    ++num_pairs_;
  }

  std::map<std::string, double> result() const override {
    return named(sum_, num_pairs_ > 0 ? static_cast<double>(num_pairs_) : 1.0);
  }

  std::map<std::string, double> last() const override { return named(last_, 1.0); }

  void reset() override {
    sum_ = {};
    last_ = {};
    num_pairs_ = 0;
  }

 private:
  struct Values {
    double rouge1 = 0;
    double rouge2 = 0;
    double rouge_l = 0;
    double rouge_lsum = 0;
  };

  // The keys are rouge_score's.
  static std::map<std::string, double> named(const Values& values, double divisor) {
    return {{"rouge1", values.rouge1 / divisor},
            {"rouge2", values.rouge2 / divisor},
            {"rougeL", values.rouge_l / divisor},
            {"rougeLsum", values.rouge_lsum / divisor}};
  }

  RougeScorer scorer_;
  Values sum_;
  Values last_;
  std::int64_t num_pairs_ = 0;
};

}  // namespace

MetricEntry rouge_metric() {
  return {.name = "rouge",
          .summary = "ROUGE-1, -2, -L and -Lsum F-measures, equal to rouge_score 0.1.2.",
          .make = [](const MetricOptions& options) { return std::make_unique<Rouge>(options.use_stemmer); }};
}

}  // namespace capstan
