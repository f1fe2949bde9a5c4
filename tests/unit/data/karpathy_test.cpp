#include "source_fixture.h"

namespace capstan::testing {
namespace {

const char* const kDocument = R"({"dataset": "coco", "images": [
  {"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg", "cocoid": 391895, "split": "val",
   "sentences": [{"tokens": ["a", "man"], "raw": "A man.", "sentid": 1}, {"raw": "A bike. "}]},
  {"filename": "b.jpg", "split": "restval", "imgid": 7, "sentences": [{"raw": "rest"}]},
  {"filename": "c.jpg", "split": "train", "sentences": [{"raw": "c"}]},
  {"filename": "d.jpg", "split": "test", "sentences": [{"raw": "d"}]}]})";

}  // namespace

TEST_CASE("karpathy files give splits, folders and raw sentences", "[data][karpathy]") {
  const auto files = files_with({{"d.json", kDocument}});
  const Reading reading = files.read("karpathy", "{annotations: $/d.json, images: $}");
  CHECK(reading.ledger.empty());
  REQUIRE(reading.images.size() == 4);
  CHECK(reading.images[0].image_id == "391895");
  CHECK(reading.images[0].name == "val2014/COCO_val2014_000000391895.jpg");
  CHECK(reading.images[0].file == files.path() / "val2014/COCO_val2014_000000391895.jpg");
  CHECK(reading.images[0].captions == std::vector<std::string>{"A man.", "A bike. "});
  CHECK(reading.images[1].image_id == "b.jpg");
  CHECK(reading.splits() == std::map<std::string, std::string>{{"val2014/COCO_val2014_000000391895.jpg", "validation"},
                                                               {"b.jpg", "train"},
                                                               {"c.jpg", "train"},
                                                               {"d.jpg", "test"}});
}

TEST_CASE("restval goes where it is told", "[data][karpathy]") {
  const auto files = files_with({{"d.json", kDocument}});
  CHECK(files.read("karpathy", "{annotations: $/d.json, images: $, restval: validation}").splits().at("b.jpg") ==
        "validation");
  const Reading dropped = files.read("karpathy", "{annotations: $/d.json, images: $, restval: drop}");
  CHECK(dropped.images.size() == 3);
  CHECK(dropped.ledger.empty());
  CHECK_THROWS_WITH(files.read("karpathy", "{annotations: a, images: b, restval: test}"),
                    ContainsSubstring("restval") && ContainsSubstring("drop"));
}

TEST_CASE("karpathy lists every record that it cannot take", "[data][karpathy]") {
  const auto files = files_with({{"d.json", R"({"images": [7, {"split": "train"},
    {"filename": "../x.jpg", "split": "train", "sentences": [{"raw": "x"}]},
    {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "kept"}, {"raw": 5}, {"raw": " "}, 3]},
    {"filename": "b.jpg", "split": "train", "sentences": []}, {"filename": "c.jpg", "split": "train"}]})"}});
  const Reading reading = files.read("karpathy", "{annotations: $/d.json, images: $}");
  CHECK(reading.captions() == std::map<std::string, std::vector<std::string>>{{"a.jpg", {"kept"}}});
  CHECK(reading.lines() ==
        std::vector<std::string>{"d.json: images[0]: the record needs a 'filename'",
                                 "d.json: images[1]: the record needs a 'filename'",
                                 "d.json: images[2]: the file name leaves the image folder: ../x.jpg",
                                 "d.json: images[3].sentences[1]: the sentence has no text 'raw'",
                                 "d.json: images[3].sentences[2]: the caption is empty",
                                 "d.json: images[3].sentences[3]: the sentence has no text 'raw'",
                                 "d.json: images[4]: the image has no caption: b.jpg",
                                 "d.json: images[5]: the image has no caption: c.jpg"});
}

TEST_CASE("karpathy says what is wrong with its files", "[data][karpathy]") {
  const auto files = files_with(
      {{"list.json", "[1, 2]"}, {"broken.json", "{\"images\": [\n{\"filename\": }]}"}, {"other.json", "{}"}});
  const auto read = [&](const std::string& name) {
    return files.read("karpathy", "{annotations: $/" + name + ", images: $}");
  };
  CHECK_THROWS_WITH(read("list.json"), ContainsSubstring("list.json: found no list 'images'"));
  CHECK_THROWS_WITH(read("other.json"), ContainsSubstring("other.json: found no list 'images'"));
  CHECK_THROWS_WITH(read("broken.json"), ContainsSubstring("broken.json:2:14: broken JSON"));
  CHECK_THROWS_WITH(read("absent.json"), ContainsSubstring("absent.json: cannot open"));
  CHECK_THROWS_WITH(files.read("karpathy", "{annotations: $/other.json, images: $/nowhere}"),
                    ContainsSubstring("nowhere: the image folder does not exist") && ContainsSubstring("'images'"));
  CHECK_THROWS_WITH(files.read("karpathy", "{}"),
                    ContainsSubstring("needs 'annotations'") && ContainsSubstring("needs 'images'"));
}

TEST_CASE("JSON that is nested too deeply or ends early is refused", "[data][karpathy]") {
  const auto files = files_with({{"deep.json", "{\"images\": " + std::string(100'000, '[')}, {"cut.json", kDocument}});
  CHECK_THROWS_WITH(files.read("karpathy", "{annotations: $/deep.json, images: $}"),
                    ContainsSubstring("nested deeper than 256 levels"));
  files.write("cut.json", std::string(kDocument).substr(0, 300));
  CHECK_THROWS_AS(files.read("karpathy", "{annotations: $/cut.json, images: $}"), DataError);
}

}  // namespace capstan::testing
