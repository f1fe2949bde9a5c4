// What stands on top of the page: the name, how far the run is, and the figures that people look for first.
#include <fmt/format.h>

#include <algorithm>

#include "report/figures.h"
#include "report/html.h"
#include "report/page_parts.h"

namespace capstan::report {
namespace {

std::string fact(const std::string& name, const std::string& value, const std::string& note) {
  return fmt::format("<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", escape_html(name), escape_html(value),
                     escape_html(note));
}

// The score that checkpoints are chosen by, else ROUGE-L, else the first.
std::string headline_score(const RunData& run) {
  const auto names = run.score_names();
  std::string wanted = run.best ? run.best->metric : "rougeL";
  if (wanted.starts_with("eval_")) wanted = wanted.substr(5);
  for (const std::string& name : {wanted, std::string("rougeL")})
    if (std::find(names.begin(), names.end(), name) != names.end() && name != "loss") return name;
  for (const std::string& name : names)
    if (name != "loss") return name;
  return "";
}

std::string facts(const RunData& run) {
  std::string text;
  if (const auto loss = settled_loss(run))
    text += fact("training loss", fmt::format("{:.4f}", *loss),
                 fmt::format("from {}", format_number(run.curve("loss").front().y)));
  if (const auto best = best_of(run.score("loss"), "loss"))
    text += fact("evaluation loss, best", fmt::format("{:.4f}", best->y), "at step " + format_number(best->x));
  const std::string name = headline_score(run);
  if (const auto best = best_of(run.score(name), name))
    text += fact(name + ", best", fmt::format("{:.4f}", best->y),
                 fmt::format("at step {}, last {:.4f}", format_number(best->x), run.score(name).back().y));
  const auto figures = speed_figures(run);
  std::string rates;
  for (const Figure& figure : figures)
    if (figure.name.ends_with("/s") && figure.name != figures.front().name)
      rates += (rates.empty() ? "" : ", ") + figure.text + " " + figure.name;
  for (const Figure& figure : figures)
    if (figure.name == figures.front().name || !figure.name.ends_with("/s"))
      text += fact(figure.name, figure.text, figure.name.ends_with("/s") ? rates : "");
  return text.empty() ? "" : "<dl class=\"facts\">\n" + text + "</dl>\n";
}

std::string progress(const RunData& run) {
  std::string text = fmt::format("step {}", format_number(static_cast<double>(run.last_step)));
  if (run.max_steps > 0) text += fmt::format(" of {}", format_number(static_cast<double>(run.max_steps)));
  text += fmt::format(", epoch {:.2f}", run.last_epoch);
  if (run.best) text += fmt::format(", best checkpoint {}", run.best->name);
  text = fmt::format("<p class=\"sub\">{}</p>\n", escape_html(text));
  if (run.max_steps > 0) {
    const double share = static_cast<double>(run.last_step) / static_cast<double>(run.max_steps);
    text += fmt::format("<div class=\"bar\"><i style=\"width:{:.1f}%\"></i></div>\n", 100 * std::min(share, 1.0));
  }
  return text;
}

}  // namespace

std::string run_name(const RunData& run) {
  std::error_code ignored;
  const auto whole = std::filesystem::weakly_canonical(run.path, ignored);
  return (whole.empty() ? run.path : whole).filename().string();
}

std::string header_part(const RunData& run) {
  std::string text = fmt::format("<h1>{}</h1>\n{}", escape_html(run_name(run)), progress(run));
  for (const std::string& note : run.notes)
    text += fmt::format("<p class=\"note\">Left out: {}</p>\n", escape_html(note));
  return text + facts(run);
}

}  // namespace capstan::report
