// From values to places on an axis, with round numbers beside it.
#pragma once
#include <vector>

namespace capstan::report {

// Multiples of 1, 2 or 5 times a power of ten within [low, high], about `count` of them; empty when the range is.
std::vector<double> round_ticks(double low, double high, int count);

// Powers of ten within [low, high] > 0, with 2 and 5 times them where the range is short.
std::vector<double> log_ticks(double low, double high, int count);

class Scale {
 public:
  // Values between `low` and `high` to pixels between `first` and `last`. low < high; of a logarithmic one 0 < low.
  Scale(double low, double high, double first, double last, bool logarithmic = false);
  double operator()(double value) const;
  double invert(double place) const;
  std::vector<double> ticks(int count) const;
  double low() const { return low_; }
  double high() const { return high_; }
  bool logarithmic() const { return logarithmic_; }

 private:
  double low_, high_, first_, last_;
  bool logarithmic_;
};

// A vertical scale on which values between `low` and `high` are seen well: some air around them, from zero where that
// costs little, and never empty.
Scale value_scale(double low, double high, double bottom, double top, bool logarithmic);

}  // namespace capstan::report
