#include "capstan/core/error.h"

#include <fmt/format.h>

namespace capstan {

void internal_error(const char* file, int line, const char* what) {
  throw std::logic_error(
      fmt::format("capstan: internal error, {} does not hold ({}:{}); please report it", what, file, line));
}

}  // namespace capstan
