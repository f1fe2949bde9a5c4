#include "capstan/report/config_keys.h"

#include "capstan/config/load.h"
#include "support/catch.h"

using namespace capstan;
using namespace capstan::report;

TEST_CASE("a configuration is flattened to keys in the order of the file", "[report][config_keys]") {
  const auto flat =
      flatten(config::parse_yaml("data: coco\ntrain:\n  rate: 5e-5\n  deep: {a: 1, b: [x, y]}\nempty: {}\n", "c"));
  REQUIRE(flat.size() == 5);
  CHECK(flat[0] == std::pair<std::string, std::string>("data", "coco"));
  CHECK(flat[1] == std::pair<std::string, std::string>("train.rate", "5e-5"));
  CHECK(flat[2] == std::pair<std::string, std::string>("train.deep.a", "1"));
  CHECK(flat[3] == std::pair<std::string, std::string>("train.deep.b", "[x, y]"));
  CHECK(flat[4].first == "empty");
  CHECK(flatten(config::parse_yaml("", "c")).empty());
}

TEST_CASE("differences name changed, missing and added keys", "[report][config_keys]") {
  const FlatConfig a{{"same", "1"}, {"changed", "2"}, {"gone", "3"}}, b{{"new", "4"}, {"changed", "5"}, {"same", "1"}};
  const auto found = differences(a, b);
  REQUIRE(found.size() == 3);
  CHECK((found[0].key == "changed" && found[0].a == "2" && found[0].b == "5"));
  CHECK((found[1].key == "gone" && found[1].a == "3" && found[1].b == "(not set)"));
  CHECK((found[2].key == "new" && found[2].a == "(not set)" && found[2].b == "4"));
  CHECK(differences(a, a).empty());
}
