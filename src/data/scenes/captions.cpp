// Sentences from scenes. Every layout has five patterns, so that whichever a model prefers can be matched exactly.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/data/scenes.h"

namespace capstan {
namespace {

const char* size_word(const SceneObject& object) { return object.large ? "large" : "small"; }

// "red circle"
std::string kind_words(const SceneObject& object) {
  return fmt::format("{} {}", name_of(object.colour), name_of(object.shape));
}

// "a red circle", "an orange circle"
std::string one(const SceneObject& object) {
  const std::string words = kind_words(object);
  return (std::string_view("aeiou").find(words.front()) != std::string_view::npos ? "an " : "a ") + words;
}

// "large red circle"
std::string sized(const SceneObject& object) { return fmt::format("{} {}", size_word(object), kind_words(object)); }

std::string plural(const std::string& words) { return words + (words.ends_with("s") ? "es" : "s"); }

const char* number_word(std::size_t count) {
  constexpr std::array<const char*, 5> kNames{"no", "one", "two", "three", "four"};
  return kNames[count];
}

std::vector<std::string> single_captions(const Scene& scene, const std::string& background) {
  const SceneObject& object = scene.objects.front();
  return {fmt::format("a {} {}", sized(object), scene.place),
          fmt::format("there is a {} on a {}", sized(object), background),
          fmt::format("{} {} of the picture", one(object), scene.place),
          fmt::format("a picture of a {}", sized(object)),
          fmt::format("the {} on the {} is {}", kind_words(object), background, size_word(object))};
}

std::vector<std::string> group_captions(const Scene& scene, const std::string& background) {
  const SceneObject& object = scene.objects.front();
  const char* count = number_word(scene.objects.size());
  return {fmt::format("{} {} on a {}", count, plural(sized(object)), background),
          fmt::format("there are {} {} on a {}", count, plural(kind_words(object)), background),
          fmt::format("{} {}", count, plural(sized(object))),
          fmt::format("a picture of {} {}", count, plural(sized(object))),
          fmt::format("{} {} and all of them are {}", count, plural(kind_words(object)), size_word(object))};
}

std::vector<std::string> pair_captions(const Scene& scene, const std::string& background) {
  const SceneObject& first = scene.objects.front();
  const SceneObject& second = scene.objects.back();
  const char* relation = scene.stacked ? "above" : "to the left of";
  const char* inverse = scene.stacked ? "below" : "to the right of";
  return {fmt::format("a {} {} a {}", sized(first), relation, sized(second)),
          fmt::format("there is {} {} {}", one(first), relation, one(second)),
          fmt::format("the {} is {} the {}", sized(second), inverse, sized(first)),
          fmt::format("{} and {} on a {}", one(first), one(second), background),
          fmt::format("a picture of {} {} {}", one(first), relation, one(second))};
}

bool same_kind(const SceneObject& a, const SceneObject& b) { return a.colour == b.colour && a.shape == b.shape; }

// "two red circles", "one blue star"
std::string counted(const Scene& scene, const SceneObject& like) {
  const auto count = static_cast<std::size_t>(std::count_if(
      scene.objects.begin(), scene.objects.end(), [&](const SceneObject& object) { return same_kind(object, like); }));
  return fmt::format("{} {}", number_word(count), count == 1 ? kind_words(like) : plural(kind_words(like)));
}

std::vector<std::string> mixed_captions(const Scene& scene, const std::string& background) {
  const std::string first = counted(scene, scene.objects.front());
  const std::string second = counted(scene, scene.objects.back());
  return {fmt::format("{} and {}", first, second), fmt::format("there are {} and {}", first, second),
          fmt::format("a picture of {} and {}", first, second),
          fmt::format("{} and {} on a {}", first, second, background), fmt::format("{} next to {}", second, first)};
}

}  // namespace

std::vector<std::string> scene_captions(const Scene& scene) {
  const std::string background = fmt::format("{} background", name_of(scene.background));
  switch (scene.layout) {
    case Scene::Layout::kSingle:
      return single_captions(scene, background);
    case Scene::Layout::kGroup:
      return group_captions(scene, background);
    case Scene::Layout::kPair:
      return pair_captions(scene, background);
    case Scene::Layout::kMixed:
      return mixed_captions(scene, background);
  }
  internal_error(__FILE__, __LINE__, "scene has a layout");
}

std::string scene_content(const Scene& scene) {
  std::map<std::string, int> counts;
  for (const SceneObject& object : scene.objects) ++counts[kind_words(object)];
  std::vector<std::string> parts;
  for (const auto& [kind, count] : counts) parts.push_back(fmt::format("{} {}", count, kind));
  return join(parts, ", ");
}

}  // namespace capstan
