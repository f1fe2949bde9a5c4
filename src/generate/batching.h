// How many pictures go through the encoder together.
#pragma once
#include <algorithm>
#include <cstdint>

namespace capstan {

// Pictures to encode between two steps. `most` may be under way, `room` more than now, and `waiting` are there.
// The encoder is faster with several at once, so a single place that became free waits for others, up to a quarter of
// all; and texts under way wait for the encoder, so no more than 8 pictures hold them up at a time.
inline std::int64_t pictures_to_add(std::int64_t most, std::int64_t room, std::int64_t waiting) {
  constexpr std::int64_t kMostAtOnce = 8;
  if (room < std::min(kMostAtOnce, most / 4) && room < most) return 0;
  return std::min({room, waiting, kMostAtOnce});
}

}  // namespace capstan
