// Which picture, by the bytes of its file, was seen in which split.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "data/shard.h"

namespace capstan {

using ContentHash = std::array<std::uint8_t, kContentHashBytes>;

class SeenPictures {
 public:
  struct Place {
    std::uint32_t split = 0;
    std::string file;
  };

  // Where the same picture was seen first; nothing when it is new and is now remembered.
  std::optional<Place> find_or_add(const ContentHash& hash, std::uint32_t split, const std::string& file) {
    const auto [found, added] = places_.try_emplace(hash, Place{split, file});
    if (added) return std::nullopt;
    return found->second;
  }

 private:
  struct FirstBytes {  // of a hash are a hash
    std::size_t operator()(const ContentHash& hash) const {
      std::size_t value;
      std::memcpy(&value, hash.data(), sizeof value);
      return value;
    }
  };
  std::unordered_map<ContentHash, Place, FirstBytes> places_;
};

}  // namespace capstan
