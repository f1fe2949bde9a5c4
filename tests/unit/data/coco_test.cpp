#include "capstan/data/coco.h"

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "source_fixture.h"
#include "support/catch.h"

namespace capstan {
namespace {

std::vector<CaptionedImage> read_text(const std::string& json, std::vector<LedgerEntry>& ledger) {
  const TempDir folder;
  write_file_atomic(folder.path() / "captions.json", json);
  return read_coco(folder.path() / "captions.json", folder.path(), "train", ledger);
}

std::unique_ptr<CaptionSource> make_coco(const config::Node& node, config::Problems& problems) {
  return sources().find("coco").make(node, problems);
}

config::Node text_node(const std::string& text) {
  config::Node node;
  node.kind = config::Node::Kind::kScalar;
  node.scalar = text;
  return node;
}

config::Node map_node(const std::vector<std::pair<std::string, std::string>>& entries) {
  config::Node node;
  node.kind = config::Node::Kind::kMap;
  for (const auto& [key, value] : entries) node.entries.emplace_back(key, text_node(value));
  return node;
}

}  // namespace

TEST_CASE("coco groups captions by image in the order of the file", "[data][coco]") {
  std::vector<LedgerEntry> ledger;
  const auto images = read_text(R"({"images": [{"id": 9, "file_name": "b.jpg"}, {"id": "x", "file_name": "sub/a.jpg"}],
    "annotations": [{"image_id": "x", "caption": "one"}, {"image_id": 9, "caption": "two "},
                    {"image_id": "x", "caption": "three"}]})",
                                ledger);
  REQUIRE(images.size() == 2);
  CHECK(images[0].image_id == "9");
  CHECK(images[0].captions == std::vector<std::string>{"two "});
  CHECK(images[1].image_id == "x");
  CHECK(images[1].captions == std::vector<std::string>{"one", "three"});
  CHECK(images[1].name == "sub/a.jpg");
  CHECK(images[1].file.filename() == "a.jpg");
  CHECK(images[1].split == "train");
  CHECK(ledger.empty());
}

TEST_CASE("coco lists every record that it cannot take", "[data][coco]") {
  std::vector<LedgerEntry> ledger;
  const auto images = read_text(R"({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "alone.jpg"}, 7,
      {"id": 3}, {"id": 1, "file_name": "c.jpg"}, {"id": 1.5, "file_name": "d.jpg"}],
    "annotations": [{"image_id": 1, "caption": "kept"}, {"image_id": 8, "caption": "lost"}, {"caption": "lost"},
      {"image_id": 1, "caption": 5}, {"image_id": 1}, {"image_id": 1, "caption": " \n"}, null]})",
                                ledger);
  REQUIRE(images.size() == 1);
  CHECK(images[0].captions == std::vector<std::string>{"kept"});
  std::vector<std::string> reasons;
  for (const auto& entry : ledger) reasons.push_back(entry.reason);
  const std::string record = "the record needs an 'id' and a 'file_name'", no_id = "the record needs an 'image_id'";
  CHECK(reasons == std::vector<std::string>{record, record, "the image id 1 is used twice", record,
                                            "the image id 8 is not in 'images'", no_id,
                                            "the caption is missing or not text", "the caption is missing or not text",
                                            "the caption is empty", no_id, "the image has no caption"});
  CHECK_THAT(ledger[4].file, ContainsSubstring("captions.json: annotations[1]"));
  CHECK_THAT(ledger.back().file, ContainsSubstring("alone.jpg"));
}

TEST_CASE("coco refuses file names that leave the image folder", "[data][coco]") {
  for (const std::string name : {"/etc/passwd", "../a.jpg", "a/../../b.jpg", "..", "a\\u0000.jpg"}) {
    std::vector<LedgerEntry> ledger;
    const auto images = read_text(R"({"images": [{"id": 1, "file_name": ")" + name + R"("}],
      "annotations": [{"image_id": 1, "caption": "text"}]})",
                                  ledger);
    CHECK(images.empty());
    REQUIRE(ledger.size() == 2);
    CHECK(ledger[0].reason == "the file name leaves the image folder");
    CHECK(ledger[1].reason == "its image 1 was not taken");
  }
}

TEST_CASE("coco says that the image folder is missing", "[data][coco]") {
  const TempDir folder;
  std::vector<LedgerEntry> ledger;
  write_file_atomic(folder.path() / "captions.json", R"({"images": [], "annotations": []})");
  CHECK_THROWS_WITH(
      read_coco(folder.path() / "captions.json", folder.path() / "nowhere", "train", ledger),
      ContainsSubstring("nowhere: the image folder does not exist") && ContainsSubstring("'train_images'"));
}

TEST_CASE("coco says where its JSON is broken", "[data][coco]") {
  std::vector<LedgerEntry> ledger;
  CHECK_THROWS_AS(read_text("{\"images\": [\n{]", ledger), DataError);
  CHECK_THROWS_WITH(read_text("{\"images\": [\n{]", ledger), ContainsSubstring("captions.json:2:"));
}

TEST_CASE("coco says that a JSON file is not of its format", "[data][coco]") {
  std::vector<LedgerEntry> ledger;
  for (const std::string text : {"[]", "{}", "null", R"({"images": {}, "annotations": []})"})
    CHECK_THROWS_WITH(read_text(text, ledger), ContainsSubstring("found no list 'images'"));
  CHECK_THROWS_WITH(read_text(R"({"images": []})", ledger), ContainsSubstring("found no list 'annotations'"));
}

TEST_CASE("the coco configuration needs annotations and images together", "[data][coco]") {
  config::Problems none, empty, half, unknown;
  make_coco(map_node({{"train_annotations", "a.json"}, {"train_images", "a"}}), none);
  CHECK(none.empty());
  make_coco(map_node({}), empty);
  CHECK_THROWS_WITH(empty.throw_if_any(), ContainsSubstring("at least 'train_annotations'"));
  make_coco(map_node({{"test_images", "a"}}), half);
  CHECK_THROWS_WITH(half.throw_if_any(), ContainsSubstring("found only 'test_images'"));
  make_coco(map_node({{"train_annotations", "a.json"}, {"train_image", "a"}}), unknown);
  CHECK_THROWS_WITH(unknown.throw_if_any(), ContainsSubstring("train_image'") && ContainsSubstring("Did you mean"));
}

TEST_CASE("the coco source reads each split that is configured", "[data][coco]") {
  const TempDir folder;
  write_file_atomic(folder.path() / "v.json",
                    R"({"images": [{"id": 1, "file_name": "a.jpg"}],
                        "annotations": [{"image_id": 1, "caption": "c"}]})");
  config::Problems problems;
  const auto source = make_coco(map_node({{"validation_annotations", (folder.path() / "v.json").string()},
                                          {"validation_images", folder.path().string()}}),
                                problems);
  const auto images = testing::read_all(*source).images;
  REQUIRE(images.size() == 1);
  CHECK(images[0].split == "validation");
  CHECK_THAT(source->describe(), ContainsSubstring("v.json"));
}

TEST_CASE("coco takes captions that come before their images", "[data][coco]") {
  std::vector<LedgerEntry> ledger;
  const auto images = read_text(R"({"annotations": [{"image_id": 1, "caption": "text"}], "info": {"images": [3]},
    "images": [{"id": 1, "file_name": "a.jpg"}]})",
                                ledger);
  REQUIRE(images.size() == 1);
  CHECK(images[0].captions == std::vector<std::string>{"text"});
  CHECK(ledger.empty());
}

TEST_CASE("karpathy lists decide the splits of coco pictures of both years", "[data][coco]") {
  const auto document = [](const std::vector<std::string>& names) {
    std::string images, captions;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string comma = i > 0 ? ", " : "", id = std::to_string(i);
      images += comma + "{\"id\": " + id + ", \"file_name\": \"" + names[i] + "\"}";
      captions += comma + "{\"image_id\": " + id + ", \"caption\": \"c\"}";
    }
    return "{\"images\": [" + images + "], \"annotations\": [" + captions + "]}";
  };
  const auto files = testing::files_with(
      {{"t.json", document({"COCO_train2014_000000000009.jpg", "COCO_train2014_000000000025.jpg"})},
       {"v.json", document({"COCO_val2014_000000000042.jpg", "COCO_val2014_000000000073.jpg"})},
       {"t17.json", document({"000000000009.jpg", "000000000042.jpg", "000000000025.jpg", "000000000073.jpg"})},
       {"train.txt", "train2014/COCO_train2014_000000000009.jpg 9\nval2014/COCO_val2014_000000000042.jpg 42\n"},
       {"val.txt", "val2014/COCO_val2014_000000000073.jpg 73\nval2014/COCO_val2014_000000000099.jpg 99\n"}});
  const std::string json14 =
      "{train_annotations: $/t.json, train_images: $, validation_annotations: $/v.json, "
      "validation_images: $, ";
  const std::string json17 = "{train_annotations: $/t17.json, train_images: $, ";
  const std::string lists = "karpathy_train: $/train.txt, karpathy_validation: $/val.txt";
  using Splits = std::map<std::string, std::string>;
  CHECK(files.read("coco", json14 + lists + "}").splits() == Splits{{"COCO_train2014_000000000009.jpg", "train"},
                                                                    {"COCO_val2014_000000000042.jpg", "train"},
                                                                    {"COCO_val2014_000000000073.jpg", "validation"}});
  const Splits dropped{
      {"000000000009.jpg", "train"}, {"000000000042.jpg", "train"}, {"000000000073.jpg", "validation"}};
  const testing::Reading reading = files.read("coco", json17 + lists + "}");
  CHECK(reading.splits() == dropped);
  CHECK(reading.ledger.empty());
  CHECK(files.read("coco", json17 + lists + ", unlisted: rest}").splits().at("000000000025.jpg") == "rest");
  CHECK(files.read("coco", json14 + lists + ", unlisted: files}").splits().at("COCO_train2014_000000000025.jpg") ==
        "train");
}

TEST_CASE("an unknown data source is answered with the known ones", "[data][coco]") {
  CHECK_THROWS_WITH(sources().find("cocoa"), ContainsSubstring("coco") && ContainsSubstring("scenes"));
}

}  // namespace capstan
