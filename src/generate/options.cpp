// What generation settings mean together.
#include "capstan/generate/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace capstan {
namespace {

// With every token that is forced at a step also suppressed there would be none left.
void check_forced(const char* key, const std::vector<std::int64_t>& forced, const std::vector<std::int64_t>& suppressed,
                  std::vector<std::string>& problems) {
  const auto is_suppressed = [&](std::int64_t id) {
    return std::find(suppressed.begin(), suppressed.end(), id) != suppressed.end();
  };
  if (!forced.empty() && std::all_of(forced.begin(), forced.end(), is_suppressed))
    problems.push_back(
        fmt::format("{} [{}] is also in suppress_tokens, so that no token would be left; remove it from one of them",
                    key, fmt::join(forced, ", ")));
}

}  // namespace

void GenerationConfig::check(std::vector<std::string>& problems) const {
  if (num_return_sequences > 1 && num_beams == 1 && !do_sample)
    problems.push_back(
        fmt::format("num_return_sequences is {}, but greedy search finds one caption; set num_beams or do_sample=true",
                    num_return_sequences));
  if (num_beams > 1 && num_return_sequences > num_beams)
    problems.push_back(
        fmt::format("num_return_sequences is {}, expected at most num_beams ({})", num_return_sequences, num_beams));
  if (max_length == 1) problems.push_back("max_length is 1, which the start token fills; expected at least 2");
  if (std::any_of(bad_words_ids.begin(), bad_words_ids.end(), [](const auto& ids) { return ids.empty(); }))
    problems.push_back("bad_words_ids has an empty list in it; expected token ids in each");
  if (std::any_of(stop_strings.begin(), stop_strings.end(), [](const auto& text) { return text.empty(); }))
    problems.push_back("stop_strings has an empty text in it, which every caption contains; remove it");
  if (forced_bos_token_id) check_forced("forced_bos_token_id", {*forced_bos_token_id}, suppress_tokens, problems);
  check_forced("forced_eos_token_id", forced_eos_token_id, suppress_tokens, problems);
}

std::int64_t GenerationConfig::longest() const {
  return max_length > 0 ? std::min<std::int64_t>(max_new_tokens, max_length - 1) : max_new_tokens;
}

std::vector<std::int64_t> GenerationConfig::eos_token_ids() const {
  std::vector<std::int64_t> ids{eos_token_id};
  ids.insert(ids.end(), other_eos_token_ids.begin(), other_eos_token_ids.end());
  return ids;
}

}  // namespace capstan
