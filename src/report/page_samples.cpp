// A few pictures, and what the model said of them as it learned.
#include <fmt/format.h>

#include <algorithm>

#include "report/html.h"
#include "report/page_parts.h"
#include "report/samples.h"

namespace capstan::report {
namespace {

constexpr std::size_t kShown = 5;         // earlier captions that stand open
constexpr std::size_t kKept = 60;         // and with those that unfold
constexpr std::size_t kPictures = 48;     // on the page
constexpr std::size_t kBytes = 3u << 20;  // of all pictures; more are named without being shown

std::string steps_of(const CaptionSpan& span) {
  const auto count = [](std::int64_t step) { return format_count(static_cast<double>(step)); };
  return span.first_step == span.last_step ? count(span.first_step)
                                           : count(span.first_step) + "&#8211;" + count(span.last_step);
}

std::string words(const std::string& text) {
  return text.empty() ? "<span class=\"empty\">(no words)</span>"
                      : "<bdi>" + escape_html(text.substr(0, 2000)) + "</bdi>";
}

std::string past_item(const CaptionSpan& span) {
  return fmt::format("<li><span>{}</span><div>{}</div></li>\n", steps_of(span), words(span.text));
}

// Newest first; of very many, those that lie evenly.
std::string past(const std::vector<CaptionSpan>& spans) {
  if (spans.size() < 2) return "";
  std::vector<const CaptionSpan*> kept;
  const std::size_t earlier = spans.size() - 1;
  const std::size_t count = std::min(earlier, kKept);
  for (std::size_t i = 0; i < count; ++i) kept.push_back(&spans[(count - 1 - i) * earlier / count]);
  std::string open, folded;
  for (std::size_t i = 0; i < kept.size(); ++i) (i < kShown ? open : folded) += past_item(*kept[i]);
  std::string text = "<p class=\"label\">before, by step</p>\n<ol class=\"past\">\n" + open + "</ol>\n";
  if (!folded.empty())
    text += fmt::format("<details><summary>{} more</summary><ol class=\"past\">\n{}</ol></details>\n",
                        kept.size() - kShown, folded);
  return text;
}

std::string references(const SamplePicture& picture) {
  std::string items;
  for (std::size_t i = 0; i < std::min<std::size_t>(picture.references.size(), 10); ++i)
    items += "<li>" + words(picture.references[i]) + "</li>\n";
  return items.empty() ? "" : "<p class=\"label\">references</p>\n<ul>\n" + items + "</ul>\n";
}

std::string card(const RunData& run, std::size_t index, bool with_picture) {
  const SamplePicture& picture = run.pictures[index];
  const auto spans = captions_of(run, index);
  const std::string latest = spans.empty() ? "" : spans.back().text;
  const std::string view =
      with_picture && !picture.base64.empty()
          ? fmt::format("<img alt=\"{}\" src=\"data:image/jpeg;base64,{}\">",
                        escape_html(latest.empty() ? picture.image_id : latest.substr(0, 2000)), picture.base64)
          : std::string("<div class=\"none\">no picture</div>");
  const std::string now = spans.empty() ? "<span class=\"empty\">not captioned yet</span>" : words(latest);
  return fmt::format(
      "<article><div>{}<p class=\"id\">{}</p></div><div><p class=\"now\">{}</p>\n<p class=\"id\">{}</p>{}{}</div>"
      "</article>\n",
      view, escape_html(picture.image_id), now, spans.empty() ? "" : "step " + steps_of(spans.back()),
      references(picture), past(spans));
}

}  // namespace

std::string samples_part(const RunData& run) {
  std::string cards;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < std::min(run.pictures.size(), kPictures); ++i) {
    bytes += run.pictures[i].base64.size();
    cards += card(run, i, bytes <= kBytes);
  }
  return cards.empty() ? "" : section("samples", "Captions", "<div class=\"samples\">\n" + cards + "</div>\n");
}

}  // namespace capstan::report
