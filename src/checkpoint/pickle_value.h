// What the pickle interpreter computes with.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace capstan {

enum class PickleKind { kNone, kBool, kInt, kFloat, kString, kSequence, kDict, kGlobal, kStorage, kTensor };

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  c10::ScalarType dtype = c10::ScalarType::Undefined;  // of a storage
  std::int64_t number = 0;                             // an integer, a truth value, or a storage's element count
  std::string text;                                    // a string, "module.name" of a global, or a storage's key
  std::vector<PickleValue*> items;                     // a sequence; keys and values in turn; a tensor's arguments
};

inline const char* kind_name(PickleKind kind) {
  constexpr const char* kNames[] = {"None",      "a truth value",   "a whole number", "a number",
                                    "a string",  "a list or tuple", "a dictionary",   "a global",
                                    "a storage", "a tensor"};
  return kNames[static_cast<int>(kind)];
}

// Owns every value, so that no pickle, however deeply nested or tied into a knot, makes freeing recurse.
using PickleArena = std::deque<PickleValue>;

}  // namespace capstan
