#include "capstan/data/captions.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr std::size_t kShownCharacters = 40;

std::optional<std::regex> compile(const char* key, const std::string& expression) {
  if (expression.empty()) return std::nullopt;
  try {
    return std::regex(expression, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    throw ConfigError(fmt::format("{}: '{}' is no regular expression: {}", key, expression, error.what()));
  }
}

// Bytes that do not continue a UTF-8 sequence.
std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    words += !is_space(c) && !inside ? 1 : 0;
    inside = !is_space(c);
  }
  return words;
}

// The beginning of a caption for a message, cut between characters.
std::string shown(const std::string& caption) {
  if (caption.size() <= kShownCharacters) return caption;
  std::size_t end = kShownCharacters;
  while (end > 0 && (static_cast<unsigned char>(caption[end]) & 0xC0) == 0x80) --end;
  return caption.substr(0, end) + "...";
}

}  // namespace

struct CaptionFilter::Impl {
  explicit Impl(const CaptionFilterConfig& config_in)
      : config(config_in),
        must_match(compile("must_match", config_in.must_match)),
        must_not_match(compile("must_not_match", config_in.must_not_match)) {}
  const CaptionFilterConfig config;
  const std::optional<std::regex> must_match, must_not_match;
};

void CaptionFilterConfig::check(std::vector<std::string>& problems) const {
  try {
    compile("must_match", must_match);
    compile("must_not_match", must_not_match);
  } catch (const ConfigError& error) {
    problems.emplace_back(error.what());
  }
  if (min_characters > max_characters)
    problems.push_back(
        fmt::format("min_characters is {}, more than max_characters, which is {}", min_characters, max_characters));
  if (max_words > 0 && min_words > max_words)
    problems.push_back(fmt::format("min_words is {}, more than max_words, which is {}", min_words, max_words));
}

CaptionFilter::CaptionFilter(const CaptionFilterConfig& config) : impl_(std::make_unique<Impl>(config)) {}
CaptionFilter::~CaptionFilter() = default;

std::optional<std::string> CaptionFilter::refuse(const std::string& caption) const {
  const CaptionFilterConfig& config = impl_->config;
  const std::string text(trim(caption));
  const auto characters = static_cast<std::int64_t>(count_characters(text));
  if (characters == 0) return "the caption is empty";
  if (characters < config.min_characters || characters > config.max_characters)
    return fmt::format("the caption '{}' has {} characters, taken are {} to {}", shown(text), characters,
                       config.min_characters, config.max_characters);
  const auto words = static_cast<std::int64_t>(count_words(text));
  if (words < config.min_words || (config.max_words > 0 && words > config.max_words))
    return fmt::format("the caption '{}' has {} words, expected at {} {}", shown(text), words,
                       words < config.min_words ? "least" : "most",
                       words < config.min_words ? config.min_words : config.max_words);
  if (impl_->must_match && !std::regex_search(text, *impl_->must_match))
    return fmt::format("the caption '{}' does not match must_match", shown(text));
  if (impl_->must_not_match && std::regex_search(text, *impl_->must_not_match))
    return fmt::format("the caption '{}' matches must_not_match", shown(text));
  return std::nullopt;
}

std::optional<std::string> CaptionFilter::remark(const std::string& caption) const {
  if (count_words(caption) > 1) return std::nullopt;
  return fmt::format("near-empty caption: '{}'", shown(std::string(trim(caption))));
}

bool CaptionFilter::drops_duplicates() const { return impl_->config.duplicates == "drop"; }

std::string caption_key(const std::string& caption) {
  std::string key;
  bool gap = false;
  for (const char c : to_lower_ascii(trim(caption))) {
    if (is_space(c)) {
      gap = true;
      continue;
    }
    if (gap) key += ' ';
    gap = false;
    key += c;
  }
  return key;
}

}  // namespace capstan
