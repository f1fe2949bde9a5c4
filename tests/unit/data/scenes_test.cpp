// The built-in pictures: what captions say is in the picture, nothing leaks between splits, and a seed decides all.
#include "capstan/data/scenes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "capstan/config/load.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/data/source.h"
#include "capstan/image/decode.h"
#include "support/catch.h"

using namespace capstan;

namespace {

// A phrase of a caption: "three large red circles". Empty words were not said.
struct Phrase {
  int count = 1;
  std::string size, colour, shape;
};

// Reads captions independently of how they are made: number, size, colour and shape words in this order.
std::vector<Phrase> phrases_of(const std::string& caption) {
  const std::map<std::string, int> numbers{{"a", 1},   {"an", 1},    {"the", 1}, {"one", 1},
                                           {"two", 2}, {"three", 3}, {"four", 4}};
  const std::set<std::string> colours{"red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"};
  const std::map<std::string, std::string> shapes{
      {"circle", "circle"}, {"circles", "circle"}, {"square", "square"},     {"squares", "square"},
      {"star", "star"},     {"stars", "star"},     {"triangle", "triangle"}, {"triangles", "triangle"},
      {"cross", "cross"},   {"crosses", "cross"},  {"diamond", "diamond"},   {"diamonds", "diamond"}};
  std::vector<Phrase> phrases;
  Phrase phrase;
  for (const auto& word : split(caption, ' ')) {
    if (numbers.contains(word)) phrase = {.count = numbers.at(word)};
    if (word == "large" || word == "small") phrase.size = word;
    if (colours.contains(word)) phrase.colour = word;
    if (!shapes.contains(word)) continue;
    phrase.shape = shapes.at(word);
    phrases.push_back(phrase);
    phrase = {};
  }
  return phrases;
}

bool fits(const SceneObject& object, const Phrase& phrase) {
  return name_of(object.shape) == phrase.shape && name_of(object.colour) == phrase.colour &&
         (phrase.size.empty() || (phrase.size == "large") == object.large);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Where the object is, by its coordinates alone.
std::string place_of(const SceneObject& object) {
  const double x = object.centre.x - 0.5;
  const double y = object.centre.y - 0.5;
  if (std::max(std::abs(x), std::abs(y)) < 0.1) return "in the middle";
  if (std::abs(x) > std::abs(y)) return x < 0 ? "on the left" : "on the right";
  return y < 0 ? "at the top" : "at the bottom";
}

void check_relation(const std::string& caption, const SceneObject& first, const SceneObject& second) {
  const double dx = first.centre.x - second.centre.x;
  const double dy = first.centre.y - second.centre.y;
  if (contains(caption, "to the left of")) CHECK(dx < -0.35);
  if (contains(caption, "to the right of")) CHECK(dx > 0.35);
  if (contains(caption, "above")) CHECK(dy < -0.35);
  if (contains(caption, "below")) CHECK(dy > 0.35);
}

void check_caption(const Scene& scene, const std::string& caption) {
  INFO(caption);
  const auto phrases = phrases_of(caption);
  REQUIRE((phrases.size() == 1 || phrases.size() == 2));
  int named = 0;
  std::vector<const SceneObject*> subjects;
  for (const Phrase& phrase : phrases) {
    const auto fitting = [&](const SceneObject& object) { return fits(object, phrase); };
    CHECK(std::count_if(scene.objects.begin(), scene.objects.end(), fitting) == phrase.count);
    subjects.push_back(&*std::find_if(scene.objects.begin(), scene.objects.end(), fitting));
    named += phrase.count;
  }
  CHECK(named == static_cast<int>(scene.objects.size()));
  if (phrases.size() == 2) check_relation(caption, *subjects[0], *subjects[1]);
  for (const char* place : {"in the middle", "on the left", "on the right", "at the top", "at the bottom"})
    if (contains(caption, place)) CHECK(place_of(scene.objects.front()) == place);
  if (contains(caption, "background")) CHECK(contains(caption, std::string(name_of(scene.background)) + " background"));
  for (const char* size : {"large", "small"})
    if (caption.ends_with(size)) CHECK(scene.objects.front().large == (std::string(size) == "large"));
}

ScenesConfig small_config(const fs::path& folder) {
  ScenesConfig config;
  config.folder = folder.string();
  config.train = 60;
  config.validation = 20;
  config.test = 20;
  return config;
}

std::map<std::string, std::string> checksums(const fs::path& folder) {
  std::map<std::string, std::string> sums;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) sums[fs::relative(entry.path(), folder).string()] = checksum_file(entry.path());
  return sums;
}

}  // namespace

TEST_CASE("every caption of a scene is true of it", "[data][scenes]") {
  Random random(11);
  std::set<std::string> vocabulary;
  for (int i = 0; i < 2000; ++i) {
    const Scene scene = make_scene(random, 1 + i % 4);
    REQUIRE(scene.objects.size() >= 1);
    REQUIRE(static_cast<int>(scene.objects.size()) <= 1 + i % 4);
    const auto captions = scene_captions(scene);
    CHECK(std::set<std::string>(captions.begin(), captions.end()).size() == 5);
    for (const auto& caption : captions) {
      check_caption(scene, caption);
      const auto words = split(caption, ' ');
      CHECK(words.size() >= 4);
      CHECK(words.size() <= 14);
      vocabulary.insert(words.begin(), words.end());
    }
  }
  CHECK(vocabulary.size() == 55);
}

TEST_CASE("articles and plurals are English", "[data][scenes]") {
  Scene scene;
  scene.place = "in the middle";
  scene.objects = {{.shape = SceneShape::kCross, .colour = SceneColour::kOrange}};
  CHECK(scene_captions(scene)[2] == "an orange cross in the middle of the picture");
  scene.layout = Scene::Layout::kGroup;
  scene.objects.push_back(scene.objects.front());
  CHECK(scene_captions(scene)[1] == "there are two orange crosses on a white background");
}

TEST_CASE("shapes show their colour and keep inside the picture and apart", "[data][scenes]") {
  const std::map<std::string, Rgb> nominal{{"red", {215, 35, 40}},
                                           {"green", {40, 150, 65}},
                                           {"blue", {40, 75, 205}},
                                           {"yellow", {245, 222, 45}},
                                           {"pink", {245, 135, 190}}};
  Random random(12);
  for (int i = 0; i < 200; ++i) {
    Scene scene = make_scene(random, 4);
    scene.noise = 0;
    const Image picture = draw_scene(scene, 96, random);
    REQUIRE(picture.height == 96);
    for (const SceneObject& object : scene.objects) {
      CHECK(std::min(object.centre.x, object.centre.y) - 0.9 * object.radius > 0);
      CHECK(std::max(object.centre.x, object.centre.y) + 0.9 * object.radius < 1);
      for (const SceneObject& other : scene.objects) {
        const double distance = std::hypot(object.centre.x - other.centre.x, object.centre.y - other.centre.y);
        if (&object != &other) CHECK(distance > 0.95 * (object.radius + other.radius));
      }
      const auto found = nominal.find(name_of(object.colour));
      if (found == nominal.end()) continue;
      const auto x = static_cast<std::size_t>(object.centre.x * 96);
      const auto y = static_cast<std::size_t>(object.centre.y * 96);
      const std::uint8_t* pixel = picture.rgb.data() + (y * 96 + x) * 3;
      CHECK(std::abs(pixel[0] - found->second.red) <= 9);
      CHECK(std::abs(pixel[1] - found->second.green) <= 9);
      CHECK(std::abs(pixel[2] - found->second.blue) <= 9);
    }
  }
}

TEST_CASE("the same settings draw the same bytes and another seed draws others", "[data][scenes]") {
  const TempDir dir;
  ScenesConfig config = small_config(dir.path() / "one");
  write_scenes(config);
  config.folder = (dir.path() / "two").string();
  write_scenes(config);
  const auto one = checksums(dir.path() / "one");
  CHECK(one.size() == 104);  // pictures, three captions files and the manifest
  CHECK(one == checksums(dir.path() / "two"));
  config.folder = (dir.path() / "three").string();
  config.seed = 2;
  write_scenes(config);
  CHECK(one != checksums(dir.path() / "three"));
}

TEST_CASE("no caption of one split occurs in another", "[data][scenes]") {
  const TempDir dir;
  for (const int max_objects : {1, 4}) {
    ScenesConfig config = small_config(dir.path() / std::to_string(max_objects));
    config.train = 300;
    config.max_objects = max_objects;
    config.image_size = 32;
    write_scenes(config);
    std::map<std::string, std::string> split_of;
    for (const auto& split : scene_splits()) {
      const auto json = read_json(fs::path(config.folder) / "annotations" / ("captions_" + split + ".json"));
      CHECK(json.at("annotations").size() == 5 * json.at("images").size());
      for (const auto& annotation : json.at("annotations")) {
        const auto [entry, fresh] = split_of.emplace(annotation.at("caption").get<std::string>(), split);
        CHECK(entry->second == split);
      }
    }
  }
}

TEST_CASE("scenes enter through the list of sources as COCO pictures", "[data][scenes]") {
  const TempDir dir;
  const std::string folder = (dir.path() / "scenes").string();
  config::Problems problems;
  const auto source = sources().find("scenes").make(
      config::parse_yaml("{folder: " + folder + ", train: 12, validation: 4, test: 3, image_size: 48}", "test.yaml"),
      problems);
  problems.throw_if_any();
  CHECK_FALSE(fs::exists(folder));  // nothing is drawn before it is needed
  std::vector<LedgerEntry> ledger;
  std::vector<CaptionedImage> images;
  source->read([&](CaptionedImage image) { images.push_back(std::move(image)); }, ledger);
  CHECK(ledger.empty());
  REQUIRE(images.size() == 19);
  std::map<std::string, int> counts;
  std::set<std::string> ids;
  for (const auto& image : images) {
    ++counts[image.split];
    ids.insert(image.image_id);
    CHECK(image.captions.size() == 5);
    const Image picture = read_image(image.file);
    CHECK(picture.height == 48);
    CHECK(picture.width == 48);
  }
  CHECK(counts == std::map<std::string, int>{{"train", 12}, {"validation", 4}, {"test", 3}});
  CHECK(ids.size() == 19);
}

TEST_CASE("a folder with the same scenes is kept and any other is refused", "[data][scenes]") {
  const TempDir dir;
  ScenesConfig config = small_config(dir.path() / "scenes");
  write_scenes(config);
  const auto written = fs::last_write_time(dir.path() / "scenes/train/000001.jpg");
  write_scenes(config);
  CHECK(fs::last_write_time(dir.path() / "scenes/train/000001.jpg") == written);
  config.train = 61;
  CHECK_THROWS_WITH(write_scenes(config), ContainsSubstring("holds scenes drawn with other settings") &&
                                              ContainsSubstring("\"train\":60") && ContainsSubstring("folder: DIR"));
  fs::create_directories(dir.path() / "mine");
  write_file_atomic(dir.path() / "mine/notes.txt", "keep");
  config.folder = (dir.path() / "mine").string();
  CHECK_THROWS_WITH(write_scenes(config), ContainsSubstring("holds files that are no scenes (scenes.json is missing)"));
  config.folder = (dir.path() / "mine/notes.txt").string();
  CHECK_THROWS_AS(write_scenes(config), DataError);
}

TEST_CASE("wrong settings of scenes are all reported", "[data][scenes]") {
  config::Problems problems;
  sources().find("scenes").make(
      config::parse_yaml("{train: 0, validation: 0, test: 0, max_objects: 9, sede: 1}", "s.yaml"), problems);
  CHECK_THROWS_WITH(problems.throw_if_any(), ContainsSubstring("max_objects") && ContainsSubstring("seed") &&
                                                 ContainsSubstring("expected at least one picture"));
}
