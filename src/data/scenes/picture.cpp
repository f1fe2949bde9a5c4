// Scenes to pixels.
#include <algorithm>

#include "capstan/data/scenes.h"

namespace capstan {
namespace {

Rgb colour_of(SceneColour colour) {
  switch (colour) {
    case SceneColour::kRed:
      return {215, 35, 40};
    case SceneColour::kOrange:
      return {245, 135, 25};
    case SceneColour::kYellow:
      return {245, 222, 45};
    case SceneColour::kGreen:
      return {40, 150, 65};
    case SceneColour::kCyan:
      return {60, 205, 220};
    case SceneColour::kBlue:
      return {40, 75, 205};
    case SceneColour::kPurple:
      return {130, 50, 170};
    case SceneColour::kPink:
      return {245, 135, 190};
  }
  return {};
}

std::uint8_t moved(std::uint8_t value, Random& random, int reach) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value + random.between(-reach, reach), 0, 255));
}

// No two shapes have exactly the same colour.
Rgb varied(Rgb colour, Random& random, int reach) {
  return {moved(colour.red, random, reach), moved(colour.green, random, reach), moved(colour.blue, random, reach)};
}

void draw_background(Canvas& canvas, SceneBackground background, Random& random) {
  switch (background) {
    case SceneBackground::kBlack:
      canvas.fill(varied({16, 16, 18}, random, 8));
      break;
    case SceneBackground::kWhite:
      canvas.fill(varied({246, 246, 246}, random, 6));
      break;
    case SceneBackground::kGrey:
      canvas.fill(varied({128, 128, 128}, random, 8));
      break;
    case SceneBackground::kBeige:
      canvas.fill(varied({222, 204, 172}, random, 6));
      break;
    case SceneBackground::kShaded: {
      const Rgb dark = varied({40, 40, 46}, random, 10);
      const Rgb light = varied({205, 205, 212}, random, 10);
      const bool light_below = random.below(2) == 1;
      canvas.gradient(light_below ? dark : light, light_below ? light : dark);
      break;
    }
  }
}

}  // namespace

Image draw_scene(const Scene& scene, int size, Random& random) {
  Canvas canvas(size, size);
  draw_background(canvas, scene.background, random);
  for (const SceneObject& object : scene.objects) {
    const Point centre{object.centre.x * size - 0.5, object.centre.y * size - 0.5};
    const double radius = object.radius * size;
    const Rgb colour = varied(colour_of(object.colour), random, 9);
    // Sides and arms are chosen so that all shapes of one size cover about the same area.
    switch (object.shape) {
      case SceneShape::kCircle:
        canvas.circle(centre, 0.88 * radius, colour);
        break;
      case SceneShape::kSquare:
        canvas.polygon(rectangle_points(centre, 1.5 * radius, 1.5 * radius, object.turn), colour);
        break;
      case SceneShape::kTriangle:
        canvas.polygon(triangle_points({centre.x, centre.y + 0.15 * radius}, 1.1 * radius, object.turn), colour);
        break;
      case SceneShape::kStar:
        canvas.polygon(star_points(centre, 1.1 * radius, object.turn), colour);
        break;
      case SceneShape::kDiamond:
        canvas.polygon(diamond_points(centre, 1.12 * radius, object.turn), colour);
        break;
      case SceneShape::kCross:
        canvas.polygon(cross_points(centre, 1.05 * radius, object.turn), colour);
        break;
    }
  }
  if (scene.noise > 0) canvas.add_noise(random, scene.noise);
  return std::move(canvas).image();
}

}  // namespace capstan
