// How many texts and pictures go through the model together.
#pragma once
#include <algorithm>
#include <cstdint>

#include "capstan/generate/options.h"

namespace capstan {

// Texts that share the steps of one picture's search.
inline int texts_per_picture(const GenerationConfig& generation) {
  return std::max(generation.num_beams, generation.num_return_sequences);
}

// Pictures to encode between two steps. `most` may be under way, `room` more than now, and `waiting` are there.
// The encoder is faster with several at once, so a single place that became free waits for others, up to a quarter of
// all; and texts under way wait for the encoder, so no more than 8 pictures hold them up at a time.
inline std::int64_t pictures_to_add(std::int64_t most, std::int64_t room, std::int64_t waiting) {
  constexpr std::int64_t kMostAtOnce = 8;
  if (room < std::min(kMostAtOnce, most / 4) && room < most) return 0;
  return std::min({room, waiting, kMostAtOnce});
}

}  // namespace capstan
