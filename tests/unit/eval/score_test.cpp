// Caption files in both formats, and what is said when they do not fit.
#include "capstan/eval/score.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

namespace capstan {
namespace {

const std::vector<std::string> kRouge{"rouge"};

// Writes both files into a fresh folder and scores them.
class Files {
 public:
  Files(std::string_view predictions, std::string_view references, const std::string& extension)
      : predictions_(folder_.path() / ("predictions" + extension)),
        references_(folder_.path() / ("references" + extension)) {
    write(predictions_, predictions);
    write(references_, references);
  }

  ScoreResult score(bool use_stemmer = false) const {
    return score_files(predictions_, references_, kRouge, {.use_stemmer = use_stemmer}, per_pair());
  }

  fs::path per_pair() const { return folder_.path() / "pairs.jsonl"; }

  std::vector<nlohmann::json> pairs() const {
    std::ifstream file(per_pair());
    std::vector<nlohmann::json> result;
    for (std::string line; std::getline(file, line);) result.push_back(nlohmann::json::parse(line));
    return result;
  }

 private:
  static void write(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }

  TempDir folder_;
  fs::path predictions_;
  fs::path references_;
};

std::string message(const Files& files) {
  try {
    files.score();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("score pairs text files line by line", "[eval][score]") {
  const Files files("a dog\na cat\n", "a dog\na bird", ".txt");
  const ScoreResult result = files.score();
  CHECK(result.num_pairs == 2);
  CHECK(result.scores.at("rouge1") == Approx(0.75));
  CHECK(result.scores.size() == 4);
  CHECK(files.pairs().at(0) ==
        nlohmann::json{{"id", "1"}, {"rouge1", 1.0}, {"rouge2", 1.0}, {"rougeL", 1.0}, {"rougeLsum", 1.0}});
  CHECK(files.pairs().at(1).at("rouge1").get<double>() == Approx(0.5));
}

TEST_CASE("score counts blank lines of text files as empty captions", "[eval][score]") {
  const ScoreResult result = Files("a dog\n\n", "a dog\r\na cat\r\n", ".txt").score();
  CHECK(result.num_pairs == 2);
  CHECK(result.scores.at("rougeL") == Approx(0.5));
  CHECK(Files("\n", "\n", ".txt").score().num_pairs == 1);
}

TEST_CASE("score takes the best of the references of an image", "[eval][score]") {
  const Files files(R"([{"image_id": 7, "caption": "a dog"}, {"image_id": "b", "caption": "two cats"}])",
                    R"({"images": [], "annotations": [{"image_id": 7, "caption": "one bird", "id": 1},
                        {"image_id": 7, "caption": "a dog"}, {"image_id": "b", "caption": "cats"},
                        {"image_id": 9, "caption": "left out"}]})",
                    ".json");
  const ScoreResult result = files.score();
  CHECK(result.num_pairs == 2);
  CHECK(files.pairs().at(0).at("id") == "7");
  CHECK(files.pairs().at(0).at("rouge1") == 1.0);
  CHECK(files.pairs().at(1).at("rouge1").get<double>() == Approx(2.0 / 3.0));
}

TEST_CASE("score tells formats apart without a known extension", "[eval][score]") {
  CHECK(Files(R"( [ {"image_id": 1, "caption": "a"}])", R"([{"image_id": 1, "caption": "a"}])", ".result")
            .score()
            .num_pairs == 1);
  CHECK(Files("[a dog]\n", "{a dog}\n", ".captions").score().scores.at("rouge1") == 1.0);
  CHECK(Files("[{\n", "[{\n", ".txt").score().num_pairs == 1);
}

TEST_CASE("score passes the metric options on", "[eval][score]") {
  const Files files("dogs\n", "dog\n", ".txt");
  CHECK(files.score(true).scores.at("rouge1") == 1.0);
  CHECK(files.score(false).scores.at("rouge1") == 0.0);
}

TEST_CASE("score survives text that is not utf-8", "[eval][score]") {
  CHECK(Files("a \xFF\xC4 dog\n", "a dog\n", ".txt").score().scores.at("rouge1") == 1.0);
}

TEST_CASE("score names both line counts when they differ", "[eval][score]") {
  const std::string text = message(Files("a\nb\n", "a\nb\nc\n", ".txt"));
  CHECK_THAT(text, ContainsSubstring("predictions.txt has 2 lines"));
  CHECK_THAT(text, ContainsSubstring("references.txt has 3"));
}

TEST_CASE("score refuses empty files", "[eval][score]") {
  CHECK_THAT(message(Files("", "a\n", ".txt")), ContainsSubstring("predictions.txt: the file is empty"));
  CHECK_THAT(message(Files("a\n", "", ".txt")), ContainsSubstring("references.txt: the file is empty"));
  const std::string one = R"([{"image_id": 1, "caption": "a"}])";
  CHECK_THAT(message(Files("[]", one, ".json")), ContainsSubstring("predictions.json: the list of captions is empty"));
  CHECK_THAT(message(Files(one, R"({"annotations": []})", ".json")),
             ContainsSubstring("references.json: the list of captions is empty"));
}

TEST_CASE("score refuses predictions without reference and images predicted twice", "[eval][score]") {
  const std::string one = R"([{"image_id": 1, "caption": "a"}])";
  CHECK_THAT(
      message(Files(R"([{"image_id": 5, "caption": "a"}])", one, ".json")),
      ContainsSubstring("predictions.json: image_id 5 has no reference in") && ContainsSubstring("references.json"));
  CHECK_THAT(message(Files(R"([{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}])", one, ".json")),
             ContainsSubstring("predictions.json: image_id 1 has two predictions"));
}

TEST_CASE("score names the place of broken json and broken entries", "[eval][score]") {
  const std::string one = R"([{"image_id": 1, "caption": "a"}])";
  CHECK_THAT(message(Files("[{\"image_id\": 1,\n nonsense", one, ".json")),
             ContainsSubstring("predictions.json:2:") && ContainsSubstring("broken JSON"));
  CHECK_THAT(message(Files(R"({"image_id": 1})", one, ".json")),
             ContainsSubstring("found object, expected a COCO result"));
  CHECK_THAT(message(Files(one, R"({"captions": []})", ".json")), ContainsSubstring("expected COCO captions"));
  CHECK_THAT(message(Files("[1]", one, ".json")), ContainsSubstring("caption entry 1 is number"));
  CHECK_THAT(message(Files(R"([{"caption": "a"}])", one, ".json")), ContainsSubstring("entry 1 has no image_id"));
  CHECK_THAT(message(Files(R"([{"image_id": 1}])", one, ".json")), ContainsSubstring("entry 1 has no caption"));
  CHECK_THAT(message(Files(R"([{"image_id": 1.5, "caption": "a"}])", one, ".json")),
             ContainsSubstring("image_id that is no integer or string"));
  CHECK_THAT(message(Files(R"([{"image_id": 1, "caption": null}])", one, ".json")),
             ContainsSubstring("caption that is no string"));
}

TEST_CASE("score refuses one file of each format", "[eval][score]") {
  TempDir folder;
  const fs::path json = folder.path() / "p.json";
  const fs::path text = folder.path() / "r.txt";
  std::ofstream(json) << R"([{"image_id": 1, "caption": "a"}])";
  std::ofstream(text) << "a\n";
  CHECK_THROWS_WITH(score_files(json, text, kRouge, {}),
                    ContainsSubstring("p.json is JSON but") && ContainsSubstring("r.txt is text lines"));
}

TEST_CASE("score refuses missing files and unknown metrics", "[eval][score]") {
  const std::vector<std::string> unknown{"rogue"};
  CHECK_THROWS_AS(score_files("missing.txt", "missing.txt", kRouge, {}), DataError);
  CHECK_THROWS_WITH(score_files("missing.txt", "missing.txt", unknown, {}),
                    ContainsSubstring("unknown metric 'rogue'"));
  CHECK_THROWS_WITH(score_files("missing.txt", "missing.txt", {}, {}), ContainsSubstring("no metric to score with"));
}

}  // namespace
}  // namespace capstan
