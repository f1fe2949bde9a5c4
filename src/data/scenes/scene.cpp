// Chance decides what a scene holds; places keep shapes apart and relations unmistakable.
#include <algorithm>
#include <array>
#include <numbers>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/data/scenes.h"

namespace capstan {
namespace {

constexpr int kNumShapes = 6;
constexpr int kNumColours = 8;
constexpr int kNumBackgrounds = 5;
constexpr double kLargeRadius = 0.2;
constexpr double kSmallRadius = 0.115;
constexpr double kMixedRadius = 0.16;

struct Place {
  const char* words;
  Point centre;
};
constexpr std::array<Place, 5> kPlaces{{{"in the middle", {0.5, 0.5}},
                                        {"on the left", {0.24, 0.5}},
                                        {"on the right", {0.76, 0.5}},
                                        {"at the top", {0.5, 0.24}},
                                        {"at the bottom", {0.5, 0.76}}}};

struct Kind {
  SceneShape shape;
  SceneColour colour;
  bool operator==(const Kind&) const = default;
};

int pick(Random& random, int count) { return static_cast<int>(random.below(static_cast<std::uint64_t>(count))); }

Kind pick_kind(Random& random) {
  const auto shape = static_cast<SceneShape>(pick(random, kNumShapes));
  return {shape, static_cast<SceneColour>(pick(random, kNumColours))};
}

Kind pick_other(Random& random, const Kind& kind) {
  while (true) {
    const Kind other = pick_kind(random);
    if (other != kind) return other;
  }
}

SceneObject make_object(Random& random, const Kind& kind, Point centre, double radius) {
  SceneObject object{.shape = kind.shape, .colour = kind.colour};
  object.centre = {centre.x + random.uniform(-0.03, 0.03), centre.y + random.uniform(-0.03, 0.03)};
  object.radius = radius * random.uniform(0.92, 1.08);
  // Squares stay upright enough not to be taken for diamonds, and crosses not for an x.
  object.turn = random.uniform(-10, 10) * std::numbers::pi / 180;
  return object;
}

SceneObject make_sized(Random& random, const Kind& kind, Point centre, bool large) {
  SceneObject object = make_object(random, kind, centre, large ? kLargeRadius : kSmallRadius);
  object.large = large;
  return object;
}

// The four quarters of the picture in random order.
std::array<Point, 4> shuffled_quarters(Random& random) {
  std::array<Point, 4> quarters{{{0.26, 0.26}, {0.74, 0.26}, {0.26, 0.74}, {0.74, 0.74}}};
  random.shuffle(std::span<Point>(quarters));
  return quarters;
}

void fill_single(Random& random, Scene& scene) {
  const Place& place = kPlaces[static_cast<std::size_t>(pick(random, static_cast<int>(kPlaces.size())))];
  scene.place = place.words;
  const Kind kind = pick_kind(random);
  scene.objects.push_back(make_sized(random, kind, place.centre, pick(random, 2) == 1));
}

void fill_group(Random& random, Scene& scene, int max_objects) {
  const int count = 2 + pick(random, max_objects - 1);
  const Kind kind = pick_kind(random);
  const bool large = pick(random, 2) == 1;
  const auto quarters = shuffled_quarters(random);
  for (int i = 0; i < count; ++i)
    scene.objects.push_back(make_sized(random, kind, quarters[static_cast<std::size_t>(i)], large));
}

void fill_pair(Random& random, Scene& scene) {
  const Kind first = pick_kind(random);
  const Kind second = pick_other(random, first);
  scene.stacked = pick(random, 2) == 1;
  for (const auto& [kind, along] : {std::pair(first, 0.26), std::pair(second, 0.74)}) {
    const double across = random.uniform(0.4, 0.6);
    const Point centre = scene.stacked ? Point{across, along} : Point{along, across};
    scene.objects.push_back(make_sized(random, kind, centre, pick(random, 2) == 1));
  }
}

// Two or three of one kind and one or two of another; captions name the larger group first, equal ones in the
// order of their colours and shapes, so that the sentence follows from the picture.
void fill_mixed(Random& random, Scene& scene, int max_objects) {
  constexpr std::array<std::array<int, 2>, 3> kCounts{{{2, 1}, {3, 1}, {2, 2}}};
  const auto counts = kCounts[static_cast<std::size_t>(pick(random, max_objects >= 4 ? 3 : 1))];
  Kind first = pick_kind(random);
  Kind second = pick_other(random, first);
  const bool in_order = std::pair(first.colour, first.shape) < std::pair(second.colour, second.shape);
  if (counts[0] == counts[1] && !in_order) std::swap(first, second);
  const auto quarters = shuffled_quarters(random);
  for (int i = 0; i < counts[0] + counts[1]; ++i)
    scene.objects.push_back(
        make_object(random, i < counts[0] ? first : second, quarters[static_cast<std::size_t>(i)], kMixedRadius));
}

Scene::Layout pick_layout(Random& random, int max_objects) {
  const double chance = random.uniform();
  if (max_objects == 1 || chance < 0.15) return Scene::Layout::kSingle;
  if (chance < 0.4) return Scene::Layout::kGroup;
  return max_objects == 2 || chance < 0.7 ? Scene::Layout::kPair : Scene::Layout::kMixed;
}

}  // namespace

Scene make_scene(Random& random, int max_objects) {
  CAPSTAN_ASSERT(max_objects >= 1 && max_objects <= 4);
  Scene scene;
  scene.layout = pick_layout(random, max_objects);
  scene.background = static_cast<SceneBackground>(pick(random, kNumBackgrounds));
  scene.noise = std::max(0, pick(random, 18) - 6);
  switch (scene.layout) {
    case Scene::Layout::kSingle:
      fill_single(random, scene);
      break;
    case Scene::Layout::kGroup:
      fill_group(random, scene, max_objects);
      break;
    case Scene::Layout::kPair:
      fill_pair(random, scene);
      break;
    case Scene::Layout::kMixed:
      fill_mixed(random, scene, max_objects);
      break;
  }
  return scene;
}

const char* name_of(SceneShape shape) {
  constexpr std::array<const char*, kNumShapes> kNames{"circle", "square", "triangle", "star", "diamond", "cross"};
  return kNames[static_cast<std::size_t>(shape)];
}

const char* name_of(SceneColour colour) {
  constexpr std::array<const char*, kNumColours> kNames{"red",  "orange", "yellow", "green",
                                                        "cyan", "blue",   "purple", "pink"};
  return kNames[static_cast<std::size_t>(colour)];
}

const char* name_of(SceneBackground background) {
  constexpr std::array<const char*, kNumBackgrounds> kNames{"black", "white", "grey", "beige", "shaded"};
  return kNames[static_cast<std::size_t>(background)];
}

}  // namespace capstan
