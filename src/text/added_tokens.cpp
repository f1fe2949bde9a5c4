// Two passes as in Hugging Face tokenizers: first the tokens that are not normalised, then in what is left the others.
#include "text/added_tokens.h"

#include <algorithm>
#include <tuple>

#include "text/unicode.h"

namespace capstan::text {
namespace {

unsigned char first_byte(const AddedToken& token) { return static_cast<unsigned char>(token.content.front()); }

// Where the white space that reaches up to `end` starts.
std::size_t space_begin(std::string_view text, std::size_t end) {
  std::size_t begin = end;
  while (begin > 0) {
    std::size_t previous = begin - 1;
    while (previous > 0 && begin - previous < 4 && (text[previous] & 0xC0) == 0x80) --previous;
    const CodePoint c = code_point_at(text, previous);
    if (previous + c.size != begin || classify(c.code_point) != CharClass::kSpace) break;
    begin = previous;
  }
  return begin;
}

std::size_t skip_space(std::string_view text, std::size_t position) {
  while (position < text.size()) {
    const CodePoint c = code_point_at(text, position);
    if (classify(c.code_point) != CharClass::kSpace) break;
    position += c.size;
  }
  return position;
}

}  // namespace

AddedTokenSplitter::AddedTokenSplitter(const std::vector<AddedToken>& tokens) {
  for (const AddedToken& token : tokens) {
    if (!token.content.empty()) passes_[token.normalized ? 1 : 0].tokens.push_back(token);
  }
  for (Pass& pass : passes_) {
    std::stable_sort(pass.tokens.begin(), pass.tokens.end(), [](const AddedToken& a, const AddedToken& b) {
      return std::tuple(first_byte(a), b.content.size()) < std::tuple(first_byte(b), a.content.size());
    });
    for (const AddedToken& token : pass.tokens) ++pass.first[first_byte(token) + 1u];
    for (std::size_t i = 1; i < pass.first.size(); ++i) pass.first[i] += pass.first[i - 1];
  }
}

const AddedToken* AddedTokenSplitter::match(const Pass& pass, std::string_view text, std::size_t position) {
  const auto byte = static_cast<unsigned char>(text[position]);
  for (std::uint32_t i = pass.first[byte]; i < pass.first[byte + 1u]; ++i) {
    if (text.substr(position).starts_with(pass.tokens[i].content)) return &pass.tokens[i];
  }
  return nullptr;
}

void AddedTokenSplitter::split_segment(const Pass& pass, std::string_view text, std::vector<Segment>& segments) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    const AddedToken* token = match(pass, text, i);
    if (token == nullptr) {
      ++i;
      continue;
    }
    const std::size_t begin = token->lstrip ? std::max(space_begin(text, i), done) : i;
    i += token->content.size();
    if (done < begin) segments.push_back({text.substr(done, begin - done)});
    segments.push_back({.is_token = true, .id = token->id});
    done = token->rstrip ? skip_space(text, i) : i;
  }
  if (done < text.size()) segments.push_back({text.substr(done)});
}

std::vector<Segment> AddedTokenSplitter::split(std::string_view text) const {
  std::vector<Segment> segments;
  if (text.empty()) return segments;
  split_segment(passes_[0], text, segments);
  if (passes_[1].tokens.empty()) return segments;
  std::vector<Segment> result;
  for (const Segment& segment : segments) {
    if (segment.is_token) {
      result.push_back(segment);
    } else {
      split_segment(passes_[1], segment.text, result);
    }
  }
  return result;
}

}  // namespace capstan::text
