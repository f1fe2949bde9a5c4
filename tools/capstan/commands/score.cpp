// capstan score: caption files from anywhere against their references.
#include <iostream>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/eval/score.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct ScoreCommandOptions {
  std::string predictions;
  std::string references;
  std::vector<std::string> metrics{"rouge"};
  bool use_stemmer = true;
  std::string per_pair;

  template <class Visitor>
  void fields(Visitor& v) {
    v("predictions", predictions, "COCO result JSON, or text with one caption a line.");
    v("references", references, "COCO captions JSON, or text with one caption a line.");
    v("metrics", metrics, "Scores to compute; `capstan list` names them.");
    v("use_stemmer", use_stemmer, "Compare word stems in ROUGE.");
    v("per_pair", per_pair, "Also write the scores of each pair to this JSON-lines file.");
  }
};

int run(const Arguments& arguments) {
  const auto options = load_options<ScoreCommandOptions>(arguments.overrides);
  if (options.predictions.empty() || options.references.empty())
    throw UsageError("capstan score: predictions=FILE and references=FILE are needed; see capstan score --help");
  const ScoreResult result = score_files(options.predictions, options.references, options.metrics,
                                         MetricOptions{.use_stemmer = options.use_stemmer}, options.per_pair);
  std::cout << nlohmann::ordered_json(result.scores).dump() << "\n";
  return 0;
}

}  // namespace

Command score_command() {
  return {.name = "score",
          .summary = "Score caption files; prints one JSON object of fractions.",
          .paths = "",
          .options = describe_options<ScoreCommandOptions>(),
          .example = "capstan score predictions=results.json references=captions_val2017.json metrics=[rouge]",
          .run = run};
}

}  // namespace capstan::cli
