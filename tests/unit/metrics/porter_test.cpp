// Stems equal NLTK's for words built from every suffix of the algorithm.
#include "capstan/metrics/porter.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "support/catch.h"
#include "support/source_dir.h"

namespace capstan {
namespace {

std::string stem_of(std::string word) {
  porter_stem(word);
  return word;
}

TEST_CASE("porter stems equal nltk's", "[metrics][porter]") {
  std::ifstream file(capstan::testing::source_dir() / "tests/golden/rouge/stems.json");
  const auto golden = nlohmann::json::parse(file);
  REQUIRE(golden.at("stems").size() > 2000);
  std::string wrong;
  for (const auto& [word, stem] : golden.at("stems").items()) {
    if (stem_of(word) != stem.get<std::string>()) wrong += word + " -> " + stem_of(word) + "; ";
  }
  CHECK(wrong == "");
}

TEST_CASE("porter stems the examples of the paper", "[metrics][porter]") {
  CHECK(stem_of("caresses") == "caress");
  CHECK(stem_of("ponies") == "poni");
  CHECK(stem_of("motoring") == "motor");
  CHECK(stem_of("hopping") == "hop");
  CHECK(stem_of("filing") == "file");
  CHECK(stem_of("generalizations") == "gener");
  CHECK(stem_of("oscillators") == "oscil");
}

TEST_CASE("porter leaves short and irregular words as they are listed", "[metrics][porter]") {
  CHECK(stem_of("").empty());
  CHECK(stem_of("as") == "as");
  CHECK(stem_of("skies") == "sky");
  CHECK(stem_of("news") == "news");
  CHECK(stem_of("dying") == "die");
}

TEST_CASE("porter is linear in runs of y and s", "[metrics][porter]") {
  const std::string run(1'000'000, 'y');
  CHECK(stem_of(run).size() >= run.size() - 1);
  CHECK(stem_of(std::string(1'000'000, 's')).size() == 1'000'000);
}

}  // namespace
}  // namespace capstan
