// Random changes of training pictures: one plug-in per transform, and the sequence of them that a run asks for.
//
//   const Augmentation augment(config.augment, problems);
//   Random random = Augmentation::random(seed, epoch, sample);
//   picture = augment(std::move(picture), random);
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/config/node.h"
#include "capstan/core/random.h"
#include "capstan/core/registry.h"
#include "capstan/image/image.h"

namespace capstan {

class Transform {
 public:
  virtual ~Transform() = default;
  // The picture that comes out is as large as the one that went in. Many threads may call it at once: all that
  // changes is in `random`, from which all chance comes. Pictures are at least 1x1.
  virtual Image operator()(Image image, Random& random) const = 0;
};

struct TransformEntry {
  std::string name;
  std::string summary;
  // Reads the plug-in's own Config strictly from `config` and reports into `problems`.
  std::function<std::unique_ptr<Transform>(const config::Node& config, config::Problems& problems)> make;
  std::function<std::string()> document;  // markdown table of its Config
};
const Registry<TransformEntry>& transforms();

// Transforms one after the other; none of them leaves pictures as they are.
class Augmentation {
 public:
  Augmentation() = default;
  explicit Augmentation(std::vector<std::unique_ptr<Transform>> steps) : steps_(std::move(steps)) {}
  // From a configuration's list; names that are not known and wrong settings go to `problems`.
  Augmentation(const std::vector<config::Component>& steps, config::Problems& problems);

  Image operator()(Image image, Random& random) const;
  // In place: uint8 [H, W, 3].
  void apply(std::span<std::uint8_t> pixels_HWC, int height, int width, Random& random) const;
  bool empty() const { return steps_.empty(); }

  // The randomness of one picture in one epoch: the same pixels come out whichever worker makes them, and again
  // after a resume.
  static Random random(std::uint64_t seed, std::uint64_t epoch, std::uint64_t sample);

 private:
  std::vector<std::unique_ptr<Transform>> steps_;
};

}  // namespace capstan
