// The built-in picture set: drawings of coloured shapes with captions that say what is in them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/core/random.h"
#include "capstan/image/draw.h"

namespace capstan {

struct ScenesConfig {
  std::string folder = "data/scenes-pictures";
  int train = 3000;
  int validation = 300;
  int test = 300;
  int image_size = 96;
  int max_objects = 4;
  std::int64_t seed = 1;

  template <class Visitor>
  void fields(Visitor& v) {
    v("folder", folder, "Where the pictures and their COCO captions files are written, once.");
    v("train", train, "Number of pictures to train on.", between(0, 1e6));
    v("validation", validation, "Number of pictures to watch training with.", between(0, 1e6));
    v("test", test, "Number of pictures kept for the final evaluation.", between(0, 1e6));
    v("image_size", image_size, "Height and width of the pictures, in pixels.", between(32, 1024));
    v("max_objects", max_objects, "Most shapes in one picture.", between(1, 4));
    v("seed", seed, "Another seed draws other pictures.", at_least(0));
  }
  void check(std::vector<std::string>& problems) const;
};

enum class SceneShape { kCircle, kSquare, kTriangle, kStar, kDiamond, kCross };
enum class SceneColour { kRed, kOrange, kYellow, kGreen, kCyan, kBlue, kPurple, kPink };
enum class SceneBackground { kBlack, kWhite, kGrey, kBeige, kShaded };

// Lengths are fractions of the picture's side.
struct SceneObject {
  SceneShape shape = SceneShape::kCircle;
  SceneColour colour = SceneColour::kRed;
  bool large = false;
  Point centre;
  double radius = 0;
  double turn = 0;  // radians
};

struct Scene {
  // One shape; several of one kind; two that differ, side by side or one above the other; two kinds of shapes.
  enum class Layout { kSingle, kGroup, kPair, kMixed };
  Layout layout = Layout::kSingle;
  std::string place;                 // of a single shape: "on the left"
  bool stacked = false;              // of a pair: the first is above the second, else to the left of it
  std::vector<SceneObject> objects;  // in the order in which captions name them
  SceneBackground background = SceneBackground::kWhite;
  int noise = 0;
};

Scene make_scene(Random& random, int max_objects);

// What is in the picture, without place, size and background: the same for all pictures that may share a caption,
// so splits that differ in it share none. "2 red circle, 1 blue star".
std::string scene_content(const Scene& scene);

// Five sentences, all true of the picture and all naming everything in it.
std::vector<std::string> scene_captions(const Scene& scene);

// `random` gives the noise and small changes of colour.
Image draw_scene(const Scene& scene, int size, Random& random);

// Fills config.folder with train/, validation/, test/ (JPEG) and annotations/captions_<split>.json unless it holds
// the same pictures already. The same configuration gives the same bytes. DataError when the folder holds anything
// else.
void write_scenes(const ScenesConfig& config);

const std::vector<std::string>& scene_splits();  // train, validation, test

const char* name_of(SceneShape shape);
const char* name_of(SceneColour colour);
const char* name_of(SceneBackground background);

}  // namespace capstan
