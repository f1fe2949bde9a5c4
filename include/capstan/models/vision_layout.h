// Where the weights of a pre-norm vision transformer are found.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace capstan {

// Dotted paths of published names, below the encoder.
struct VisionLayout {
  std::vector<std::string> tokens;  // parameters [1, 1, D] that stand before the patches
  std::string patches;              // module of the projection: weight [D, C, P, P], bias
  std::string positions;            // parameter, [1, S, D] or, with `flat_positions`, [S, D]
  bool flat_positions = false;
  std::string blocks;  // modules 0, 1, ... below it, each with:
  std::string norm_1, query, key, value, attention_output, norm_2, fc_1, fc_2;
  std::string norm;  // after the last block
  // Weights of a head that captioning does not use, with their shapes.
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> head;
};

}  // namespace capstan
