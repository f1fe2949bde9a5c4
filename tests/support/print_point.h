// Points of curves in the messages of failed tests.
#pragma once
#include <ostream>

#include "capstan/report/series.h"

namespace capstan {

inline std::ostream& operator<<(std::ostream& out, const CurvePoint& point) {
  return out << "(" << point.x << ", " << point.y << ")";
}

}  // namespace capstan
