#include "capstan/eval/evaluator.h"

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/generate/decode.h"
#include "support/tiny_training.h"

using namespace capstan;

namespace {

GenerationConfig tiny_generation() {
  return {.max_new_tokens = 6, .decoder_start_token_id = 256, .eos_token_id = 256, .pad_token_id = 256};
}

EvaluationReport evaluate_tiny(const Cache& cache, VisionEncoderDecoder& model, std::int64_t batch_size,
                               std::int64_t max_images = 0) {
  const EvaluationOptions options{.batch_size = batch_size, .max_images = max_images, .show_progress = false};
  return evaluate(model, cache, ImageProcessor(cache.processor()), *cache.tokenizer(), tiny_generation(), options);
}

}  // namespace

TEST_CASE("evaluation captions every picture once, whatever the batch size", "[eval][evaluator]") {
  const TempDir temp;
  const Cache cache(testing::tiny_cache(temp.path()), "validation");
  const auto model = create_model(testing::tiny_model_config(), 1);
  const EvaluationReport whole = evaluate_tiny(cache, *model, 16), pieces = evaluate_tiny(cache, *model, 3);
  REQUIRE(whole.num_images == cache.num_images());
  REQUIRE(whole.captions.size() == static_cast<std::size_t>(cache.num_images()));
  CHECK(whole.scores == pieces.scores);
  for (std::size_t i = 0; i < whole.captions.size(); ++i) {
    CHECK(whole.captions[i].prediction == pieces.captions[i].prediction);
    CHECK(whole.captions[i].image_id == cache.image_id(static_cast<std::int64_t>(i)));
    CHECK(whole.captions[i].references == cache.captions_of(static_cast<std::int64_t>(i)));
  }
  CHECK(evaluate_tiny(cache, *model, 3, 2).num_images == 2);
}

TEST_CASE("the corpus score is the mean of the captions' best-reference scores", "[eval][evaluator]") {
  const TempDir temp;
  const Cache cache(testing::tiny_cache(temp.path()), "validation");
  const auto model = create_model(testing::tiny_model_config(), 1);
  const EvaluationReport report = evaluate_tiny(cache, *model, 4);
  for (const char* key : {"rouge1", "rouge2", "rougeL", "rougeLsum"}) {
    INFO(key);
    REQUIRE(report.scores.contains(key));
    double sum = 0;
    for (const auto& caption : report.captions) sum += caption.scores.at(key);
    CHECK(report.scores.at(key) == Approx(sum / static_cast<double>(report.captions.size())).margin(1e-12));
  }
}

TEST_CASE("an unknown metric is answered with the known ones", "[eval][evaluator]") {
  const TempDir temp;
  const Cache cache(testing::tiny_cache(temp.path()), "validation");
  VisionEncoderDecoder model(testing::tiny_model_config());
  const EvaluationOptions options{.metrics = {"rogue"}, .show_progress = false};
  CHECK_THROWS_WITH(
      evaluate(model, cache, ImageProcessor(cache.processor()), *cache.tokenizer(), tiny_generation(), options),
      ContainsSubstring("rouge"));
}

TEST_CASE("evaluation.json and the table carry scores and captions", "[eval][report]") {
  const TempDir temp;
  EvaluationReport report{.scores = {{"rougeL", 0.5}}, .num_images = 2, .seconds = 4};
  report.captions.push_back({.image_id = "7",
                             .file = "a/7.jpg",
                             .prediction = "a dog",
                             .references = {"a cat", "the dog"},
                             .scores = {{"rougeL", 0.5}}});
  report.captions.push_back({.image_id = "8",
                             .file = "a/8.jpg",
                             .prediction = "a hat",
                             .references = {"a hat"},
                             .scores = {{"rougeL", 1.0}}});
  write_evaluation(report, temp.path() / "evaluation.json");
  const auto json = read_json(temp.path() / "evaluation.json");
  CHECK(json["scores"]["rougeL"] == 0.5);
  CHECK(json["num_images"] == 2);
  CHECK(json["captions"][0]["references"][1] == "the dog");
  CHECK(json["captions"][1]["scores"]["rougeL"] == 1.0);

  const std::string table = format_evaluation(report, 1);
  CHECK(table.find("2 images in 4") != std::string::npos);
  CHECK(table.find("rougeL      0.5000") != std::string::npos);
  CHECK(table.find("predicted  a dog") != std::string::npos);
  CHECK(table.find("reference  the dog") != std::string::npos);
  CHECK(table.find("a hat") == std::string::npos);
}
