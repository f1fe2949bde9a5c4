#include "report/metrics_line.h"

#include <nlohmann/json.hpp>

namespace capstan::report {
namespace {

using Json = nlohmann::ordered_json;

// Notes the numbers and strings of the outermost object.
class Reader {
 public:
  Reader(std::vector<std::pair<std::string, double>>& numbers, std::vector<std::pair<std::string, std::string>>& texts)
      : numbers_(numbers), texts_(texts) {}

  bool null() { return inside(); }
  bool boolean(bool) { return inside(); }
  bool number_integer(Json::number_integer_t value) { return add(static_cast<double>(value)); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(static_cast<double>(value)); }
  bool number_float(Json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) {
    if (depth_ == 1) texts_.emplace_back(key_, std::move(value));
    return inside();
  }
  bool binary(Json::binary_t&) { return inside(); }
  bool key(std::string& value) {
    if (depth_ == 1) key_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t) { return ++depth_ < kDeepest; }
  bool end_object() { return --depth_ >= 0; }
  bool start_array(std::size_t) { return inside() && ++depth_ < kDeepest; }
  bool end_array() { return --depth_ >= 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

 private:
  static constexpr int kDeepest = 64;

  bool inside() const { return depth_ > 0; }
  bool add(double value) {
    if (depth_ == 1) numbers_.emplace_back(key_, value);
    return inside();
  }
  std::vector<std::pair<std::string, double>>& numbers_;
  std::vector<std::pair<std::string, std::string>>& texts_;
  std::string key_;
  int depth_ = 0;
};

template <class Value>
std::optional<Value> find_in(const std::vector<std::pair<std::string, Value>>& all, std::string_view key) {
  for (const auto& [name, value] : all)
    if (name == key) return value;
  return std::nullopt;
}

}  // namespace

bool MetricsLine::parse(const std::string& line) {
  numbers_.clear();
  texts_.clear();
  Reader reader(numbers_, texts_);
  if (!Json::sax_parse(line, &reader)) return false;
  line_ = line;
  return true;
}

std::optional<double> MetricsLine::number(std::string_view key) const { return find_in(numbers_, key); }

std::optional<std::string> MetricsLine::text(std::string_view key) const { return find_in(texts_, key); }

std::vector<std::pair<std::string, std::string>> MetricsLine::others() const {
  std::vector<std::pair<std::string, std::string>> all;
  const Json line = Json::parse(line_);
  for (const auto& [key, value] : line.items()) {
    if (key == "step" || key == "epoch" || key == "event") continue;
    all.emplace_back(
        key, value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return all;
}

}  // namespace capstan::report
