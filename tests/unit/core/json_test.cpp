#include "capstan/core/json.h"

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "support/catch.h"

using namespace capstan;

TEST_CASE("broken JSON is reported with file, line and column", "[core][json]") {
  CHECK_THROWS_WITH(parse_json("{\n  \"a\": [1, 2,\n}", "captions.json"),
                    ContainsSubstring("captions.json:3:1: broken JSON"));
  CHECK_THROWS_AS(parse_json("", "empty.json"), DataError);
  CHECK_THROWS_WITH(parse_json("[1e999]", "huge.json"), ContainsSubstring("huge.json: broken JSON: number overflow"));
  CHECK_THROWS_WITH(parse_json(std::string(5000, '[') + std::string(5000, ']'), "deep.json"),
                    ContainsSubstring("nested deeper"));
}

TEST_CASE("JSON written is read back with keys in order", "[core][json]") {
  const TempDir dir;
  nlohmann::ordered_json value{{"z", 1}, {"a", "caf\xc3\xa9"}};
  write_json(dir.path() / "x.json", value);
  CHECK(read_file(dir.path() / "x.json") == "{\n  \"z\": 1,\n  \"a\": \"caf\xc3\xa9\"\n}\n");
  CHECK(read_json(dir.path() / "x.json")["z"] == 1);
}
