// What every transform promises, whatever it does, and how a run names them.
#include "capstan/image/transform.h"

#include <map>
#include <set>
#include <thread>

#include "support/catch.h"
#include "transform_fixtures.h"

using namespace capstan;
using testing::make_transform;

namespace {

// Settings under which a transform changes nearly every picture. One line for each registered transform.
const std::map<std::string, std::string> kStrong{
    {"color_jitter", "{brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.3}"},
    {"horizontal_flip", "{p: 0.5}"},
    {"rand_augment", "{num_ops: 2, magnitude: 9}"},
    {"random_crop", "{padding: 6}"},
    {"random_resized_crop", "{scale: [0.2, 1], resample: [0, 2, 3]}"}};

const Image kPicture = testing::noise(48, 37, 5, 40, 200);

std::unique_ptr<Transform> strong(const std::string& name) { return make_transform(name, kStrong.at(name)); }

Augmentation all_transforms() {
  std::vector<std::unique_ptr<Transform>> steps;
  for (const auto& [name, yaml] : kStrong) steps.push_back(make_transform(name, yaml));
  return Augmentation(std::move(steps));
}

std::vector<config::Component> components(const std::string& yaml) {
  config::Problems problems;
  std::vector<config::Component> list;
  config::read_value(config::parse_yaml(yaml, "run.yaml"), "augment", list, {}, problems);
  problems.throw_if_any();
  return list;
}

}  // namespace

TEST_CASE("every registered transform is held to the laws below", "[image][transform]") {
  std::set<std::string> tried;
  for (const auto& [name, yaml] : kStrong) tried.insert(name);
  const auto names = transforms().names();
  CHECK(tried == std::set<std::string>(names.begin(), names.end()));
}

TEST_CASE("a transform keeps the size of every picture, down to a single pixel", "[image][transform]") {
  for (const auto& [name, yaml] : kStrong) {
    const auto transform = strong(name);
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 2}, {1, 40}, {40, 1}, {2, 2}, {3, 3}, {5, 90}, {64, 48}}) {
      Random random(3);
      for (int i = 0; i < 200; ++i) {
        const Image out = (*transform)(testing::noise(height, width, 1), random);
        INFO(name << " " << height << "x" << width);
        REQUIRE(out.height == height);
        REQUIRE(out.width == width);
        REQUIRE(out.rgb.size() == static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
      }
    }
  }
}

TEST_CASE("the state of the randomness decides a transform's picture", "[image][transform]") {
  for (const auto& [name, yaml] : kStrong) {
    const auto transform = strong(name);
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Random random(seed);
      Random again(seed);
      const Image out = (*transform)(kPicture, random);
      INFO(name << " with seed " << seed);
      CHECK(testing::same(out, (*transform)(kPicture, again)));
      CHECK(random.state() == again.state());
      seen.insert(testing::key_of(out));
    }
    INFO(name);
    CHECK(seen.size() >= (name == "horizontal_flip" ? 2U : 15U));
  }
}

TEST_CASE("the pixels that come out do not change what a transform draws", "[image][transform]") {
  for (const auto& [name, yaml] : kStrong) {
    Random random(8);
    Random other(8);
    (*strong(name))(kPicture, random);
    (*strong(name))(testing::noise(48, 37, 99), other);
    INFO(name);
    CHECK(random.state() == other.state());
  }
}

TEST_CASE("threads share a transform", "[image][transform]") {
  const Augmentation augment = all_transforms();
  const auto make = [&augment](std::uint64_t sample) {
    Random random = Augmentation::random(1, 2, sample);
    return augment(kPicture, random);
  };
  constexpr std::uint64_t kSamples = 64;
  std::vector<Image> made(kSamples);
  std::vector<std::thread> workers;
  for (std::uint64_t worker = 0; worker < 4; ++worker)
    workers.emplace_back([&, worker] {
      for (std::uint64_t i = worker; i < kSamples; i += 4) made[i] = make(i);
    });
  for (auto& worker : workers) worker.join();
  for (std::uint64_t i = 0; i < kSamples; ++i) CHECK(testing::same(made[i], make(i)));
}

TEST_CASE("an augmentation in place gives the pixels that it gives as pictures", "[image][transform]") {
  const Augmentation augment = all_transforms();
  Random random = Augmentation::random(7, 0, 3);
  Image expected = augment(kPicture, random);
  std::vector<std::uint8_t> pixels = kPicture.rgb;
  Random again = Augmentation::random(7, 0, 3);
  augment.apply(pixels, kPicture.height, kPicture.width, again);
  CHECK(pixels == expected.rgb);
  CHECK(pixels != kPicture.rgb);
}

TEST_CASE("no transforms leave a picture as it is", "[image][transform]") {
  const Augmentation none;
  CHECK(none.empty());
  Random random(1);
  CHECK(testing::same(none(kPicture, random), kPicture));
  std::vector<std::uint8_t> pixels = kPicture.rgb;
  none.apply(pixels, kPicture.height, kPicture.width, random);
  CHECK(pixels == kPicture.rgb);
  CHECK(random.state() == Random(1).state());
}

TEST_CASE("seed, epoch and sample each give other randomness, and always the same", "[image][transform]") {
  std::set<Random::State> states;
  for (std::uint64_t seed : {0, 1, 42})
    for (std::uint64_t epoch = 0; epoch < 10; ++epoch)
      for (std::uint64_t sample = 0; sample < 10; ++sample) {
        states.insert(Augmentation::random(seed, epoch, sample).state());
        CHECK(Augmentation::random(seed, epoch, sample).state() == Augmentation::random(seed, epoch, sample).state());
      }
  CHECK(states.size() == 300);
}

TEST_CASE("a run lists its transforms in the order in which they are applied", "[image][transform]") {
  config::Problems problems;
  const Augmentation augment(components("[{name: random_resized_crop, config: {scale: [0.5, 1]}}, horizontal_flip]"),
                             problems);
  problems.throw_if_any();
  Random random(4);
  const Image out = augment(kPicture, random);
  Random again(4);
  const Image cropped = (*make_transform("random_resized_crop", "{scale: [0.5, 1]}"))(kPicture, again);
  CHECK(testing::same(out, (*make_transform("horizontal_flip", "{}"))(cropped, again)));
}

TEST_CASE("wrong transforms and settings are all said at once, with their lines", "[image][transform]") {
  config::Problems problems;
  const Augmentation augment(components("- horizontal_flop\n"
                                        "- name: random_resized_crop\n"
                                        "  config: {scale: [0.9, 0.1], ratio: [1], resample: []}\n"
                                        "- name: rand_augment\n"
                                        "  config: {magnitude: 31}\n"
                                        "- color_jitter\n"
                                        "- name: random_crop\n"
                                        "  config: {pading: 3}\n"),
                             problems);
  CHECK_THROWS_WITH(problems.throw_if_any(),
                    ContainsSubstring("run.yaml:1: unknown transform 'horizontal_flop'") &&
                        ContainsSubstring("Did you mean 'horizontal_flip'?") &&
                        ContainsSubstring("'scale' is [0.9, 0.1]; expected two numbers, the smaller one first") &&
                        ContainsSubstring("'ratio' is [1]; expected two numbers") &&
                        ContainsSubstring("'resample' is empty; expected at least one filter number") &&
                        ContainsSubstring("'magnitude' is 31; expected less than num_magnitude_bins, which is 31") &&
                        ContainsSubstring("are all 0; expected one above 0") && ContainsSubstring("run.yaml:8") &&
                        ContainsSubstring("pading"));
}

TEST_CASE("values out of range are refused", "[image][transform]") {
  const auto problem = [](const char* name, const char* yaml, const char* key) {
    INFO(name << " " << yaml);
    CHECK_THROWS_WITH(make_transform(name, yaml), ContainsSubstring(key) && ContainsSubstring("expected"));
  };
  problem("horizontal_flip", "{p: 1.5}", "p: found 1.5");
  problem("random_resized_crop", "{scale: [0, 1]}", "scale.0");
  problem("random_resized_crop", "{scale: [0.5, 1.1]}", "scale.1");
  problem("random_resized_crop", "{ratio: [0, 1]}", "ratio.0");
  problem("random_resized_crop", "{resample: [6]}", "resample.0");
  problem("color_jitter", "{hue: 0.6}", "hue");
  problem("color_jitter", "{brightness: -1}", "brightness");
  problem("rand_augment", "{num_ops: 0}", "num_ops");
  problem("rand_augment", "{magnitude: 0, num_magnitude_bins: 1}", "num_magnitude_bins");
  problem("random_crop", "{padding: 0}", "padding");
}

TEST_CASE("the reference of every transform names its keys, and the flip warns of captions", "[image][transform]") {
  for (const auto& [name, entry] : transforms().entries()) CHECK_THAT(entry.document(), ContainsSubstring("| key |"));
  CHECK_THAT(transforms().find("horizontal_flip").summary, ContainsSubstring("captions say left and right"));
}
