#include "report/scale.h"

#include <algorithm>
#include <cmath>

namespace capstan::report {

std::vector<double> round_ticks(double low, double high, int count) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low) || count < 1) return ticks;
  const double wanted = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  if (!(power > 0)) return ticks;
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted * 0.999) {
      step = factor * power;
      break;
    }
  }
  const double first = std::ceil(low / step - 1e-9);
  for (double i = first; i * step <= high + 1e-9 * step && ticks.size() < 100; ++i)
    ticks.push_back(i == 0 ? 0 : i * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high, int count) {
  std::vector<double> ticks;
  const double decades = std::log10(high / low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / count)));
  const auto first = static_cast<int>(std::floor(std::log10(low)));
  const auto last = static_cast<int>(std::ceil(std::log10(high)));
  const bool fine = decades * 3 <= count;
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, exponent);
      const bool wanted = factor == 1 ? exponent % every == 0 : fine;
      if (wanted && tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks.size() >= 3 || decades > 1 ? ticks : round_ticks(low, high, count);
}

Scale::Scale(double low, double high, double first, double last, bool logarithmic)
    : low_(low), high_(high), first_(first), last_(last), logarithmic_(logarithmic) {}

double Scale::operator()(double value) const {
  const double share = logarithmic_ ? std::log(std::max(value, low_ / 10) / low_) / std::log(high_ / low_)
                                    : (value - low_) / (high_ - low_);
  return first_ + share * (last_ - first_);
}

double Scale::invert(double place) const {
  const double share = (place - first_) / (last_ - first_);
  return logarithmic_ ? low_ * std::pow(high_ / low_, share) : low_ + share * (high_ - low_);
}

std::vector<double> Scale::ticks(int count) const {
  return logarithmic_ ? log_ticks(low_, high_, count) : round_ticks(low_, high_, count);
}

Scale value_scale(double low, double high, double bottom, double top, bool logarithmic) {
  if (logarithmic) {
    const double air = std::max(1.02, std::pow(high / low, 0.05));
    return {low / air, high * air, bottom, top, true};
  }
  if (low == 0 && high == 0) return {0, 1, bottom, top};
  if (low >= 0 && low < 0.6 * high) return {0, high * 1.06, bottom, top};
  const double range = high - low;
  const double air = range > 0 ? 0.06 * range : std::max(std::fabs(high) * 0.1, 1e-9);
  return {low - air, high + air, bottom, top};
}

}  // namespace capstan::report
