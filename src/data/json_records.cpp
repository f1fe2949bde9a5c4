#include "data/json_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/files.h"

namespace capstan {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 256;  // deeper input is an attack, not data

// Builds the records that are asked for and passes over everything else.
class RecordHandler final : public nlohmann::json_sax<json> {
 public:
  // Without a `list`, the whole document is one record.
  RecordHandler(const std::string* list, const TakeRecord& take) : list_(list), take_(take), taking_(list == nullptr) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool b) override { return value(b); }
  bool number_integer(number_integer_t number) override { return value(number); }
  bool number_unsigned(number_unsigned_t number) override { return value(number); }
  bool number_float(number_float_t number, const string_t&) override { return value(number); }
  bool string(string_t& text) override { return value(std::move(text)); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& text) override {
    key_ = std::move(text);
    return true;
  }
  bool start_object(std::size_t) override { return begin(json::object()); }
  bool start_array(std::size_t) override {
    if (depth_ == 1 && in_object_ && list_ != nullptr && key_ == *list_) {
      taking_ = found_ = true;
      ++depth_;
      return true;
    }
    return begin(json::array());
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t position, const std::string&, const json::exception& error) override {
    const std::string_view what = error.what();
    const std::size_t detail = what.rfind(": ");
    position_ = position == 0 ? 0 : position - 1;
    problem_ = detail == std::string_view::npos ? what : what.substr(detail + 2);
    return false;
  }

  bool found() const { return found_; }
  bool stopped() const { return stopped_; }
  const std::string& problem() const { return problem_; }
  std::size_t position() const { return position_; }

 private:
  template <class Value>
  bool value(Value&& v) {
    if (!taking_) return true;
    if (!open_.empty()) {
      add(std::forward<Value>(v));
      return true;
    }
    record_ = std::forward<Value>(v);
    return emit();
  }

  bool begin(json container) {
    if (depth_ == 0) in_object_ = container.is_object();
    if (++depth_ > kMaxDepth) {
      problem_ = fmt::format("nested deeper than {} levels", kMaxDepth);
      return false;
    }
    if (!taking_) return true;
    if (open_.empty()) {
      record_ = std::move(container);
      open_.push_back(&record_);
    } else {
      open_.push_back(&add(std::move(container)));
    }
    return true;
  }

  bool end() {
    --depth_;
    if (!taking_) return true;
    if (open_.empty()) {  // the list itself ends
      taking_ = false;
      return true;
    }
    open_.pop_back();
    return !open_.empty() || emit();
  }

  template <class Value>
  json& add(Value&& v) {
    json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::forward<Value>(v);
    parent.push_back(std::forward<Value>(v));
    return parent.back();
  }

  bool emit() {
    stopped_ = !take_(record_);
    return !stopped_;
  }

  const std::string* list_;
  const TakeRecord& take_;
  bool taking_;
  bool in_object_ = false, found_ = false, stopped_ = false;
  int depth_ = 0;
  std::string key_;
  json record_;
  std::vector<json*> open_;  // the containers that surround the next value, from the record inwards
  std::string problem_;
  std::size_t position_ = 0;
};

bool parse(std::string_view text, RecordHandler& handler) {
  return json::sax_parse(text.begin(), text.end(), &handler) || handler.stopped();
}

}  // namespace

bool read_json_list(const std::filesystem::path& path, std::string_view name, const TakeRecord& take) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const std::string list(name);
  RecordHandler handler(&list, take);
  if (parse(text, handler)) return handler.found();
  const std::string_view before = text.substr(0, handler.position());
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  throw DataError(fmt::format("{}:{}:{}: broken JSON: {}", path.string(), line, column, handler.problem()));
}

bool parse_json_record(std::string_view text, nlohmann::json& record, std::string& problem) {
  const TakeRecord take = [&](json& found) {
    record = std::move(found);
    return true;
  };
  RecordHandler handler(nullptr, take);
  if (parse(text, handler)) return true;
  problem = fmt::format("broken JSON at column {}: {}", handler.position() + 1, handler.problem());
  return false;
}

}  // namespace capstan
