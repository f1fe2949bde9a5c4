// Evaluations, events, checkpoints, configuration and environment.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "capstan/core/strings.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/page_parts.h"

namespace capstan::report {
namespace {

constexpr std::size_t kEvaluations = 200;
constexpr std::size_t kEvents = 300;
constexpr std::size_t kConfigBytes = 256 << 10;

// `best` is nothing for seconds, of which none is a merit.
std::string cell(const std::optional<CurvePoint>& point, const std::optional<CurvePoint>& best) {
  if (!point) return "<td class=\"n\"></td>";
  if (!best) return fmt::format("<td class=\"n\">{:.1f}</td>", point->y);
  const bool is_best = best->x == point->x;
  return fmt::format("<td class=\"n{}\">{:.4f}</td>", is_best ? " best" : "", point->y);
}

std::optional<CurvePoint> at(const Series& series, double step) {
  const auto found = std::lower_bound(series.begin(), series.end(), step,
                                      [](const CurvePoint& point, double x) { return point.x < x; });
  return found != series.end() && found->x == step ? std::optional<CurvePoint>(*found) : std::nullopt;
}

std::string panel(const std::string& body) { return "<div class=\"panel\">\n" + body + "</div>\n"; }

std::string more(std::size_t count, const char* what) {
  return count == 0
             ? ""
             : fmt::format("<p class=\"more\">{} {} left out here; metrics.jsonl has them all.</p>\n", count, what);
}

// Comments stand back. They end with the line and begin after a blank, so that "a#b" is none.
std::string config_text(const std::string& config) {
  std::string text;
  for (const std::string& line : split(config.substr(0, kConfigBytes), '\n')) {
    std::size_t comment = line.starts_with('#') ? 0 : line.find(" #");
    if (comment == std::string::npos) comment = line.size();
    text += escape_html(line.substr(0, comment));
    if (comment < line.size()) text += "<i>" + escape_html(line.substr(comment)) + "</i>";
    text += "\n";
  }
  return text;
}

}  // namespace

std::string section(std::string_view id, std::string_view title, const std::string& body) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", id, title, body);
}

std::string evaluations_part(const RunData& run) {
  std::set<double> steps;
  for (const auto& [name, series] : run.scores)
    for (const CurvePoint& point : series) steps.insert(point.x);
  if (steps.empty()) return "";
  std::string head = "<tr><th class=\"n\">step</th>";
  std::map<std::string, std::optional<CurvePoint>> best;
  for (const auto& [name, series] : run.scores) {
    head += fmt::format("<th class=\"n\">{}</th>", escape_html(name));
    if (name != "seconds") best[name] = best_of(series, name);
  }
  std::string rows;
  std::size_t left_out = 0;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    // The newest, and the best however long ago.
    const bool holds_best =
        std::any_of(best.begin(), best.end(), [&](const auto& b) { return b.second && b.second->x == *step; });
    if (static_cast<std::size_t>(std::distance(steps.rbegin(), step)) >= kEvaluations && !holds_best) {
      ++left_out;
      continue;
    }
    rows += fmt::format("<tr><td class=\"n\">{}</td>", format_number(*step));
    for (const auto& [name, series] : run.scores) rows += cell(at(series, *step), best[name]);
    rows += "</tr>\n";
  }
  return section("evaluations", "Evaluations",
                 panel("<table><thead>" + head + "</tr></thead><tbody>\n" + rows + "</tbody></table>\n" +
                       more(left_out, "evaluations")));
}

std::string events_part(const RunData& run) {
  if (run.events.empty()) return "";
  const std::size_t shown = std::min(kEvents, run.events.size());
  std::string rows;
  for (std::size_t i = 0; i < shown; ++i) {
    const RunEvent& event = run.events[run.events.size() - 1 - i];
    rows +=
        fmt::format("<tr><td class=\"n\">{}</td><td><span class=\"tag\">{}</span></td><td class=\"any\">{}</td></tr>\n",
                    format_number(static_cast<double>(event.step)), escape_html(event.name),
                    escape_html(event.details.substr(0, 1000)));
  }
  return section("events", "Events",
                 panel("<table><thead><tr><th class=\"n\">step</th><th>event</th><th style=\"width:100%\">details</th>"
                       "</tr></thead><tbody>\n" +
                       rows + "</tbody></table>\n" + more(run.events.size() - shown, "earlier events")));
}

std::string checkpoints_part(const RunData& run) {
  std::string rows;
  for (auto checkpoint = run.checkpoints.rbegin(); checkpoint != run.checkpoints.rend(); ++checkpoint) {
    const bool is_best = run.best && run.best->name.ends_with(checkpoint->name);
    rows += fmt::format("<tr><th>{}{}</th><td class=\"n\">{}</td><td style=\"width:100%\"></td></tr>\n",
                        escape_html(checkpoint->name),
                        is_best ? fmt::format(" <span class=\"best\">best: {} {:.4f}</span>",
                                              escape_html(run.best->metric), run.best->value)
                                : "",
                        format_bytes(static_cast<double>(checkpoint->bytes)));
  }
  return rows.empty() ? ""
                      : section("checkpoints", "Checkpoints", panel("<table><tbody>\n" + rows + "</tbody></table>\n"));
}

std::string config_part(const RunData& run) {
  if (run.config.empty()) return "";
  const auto lines = std::count(run.config.begin(), run.config.end(), '\n');
  return section("config", "Configuration",
                 panel(fmt::format("<details{}><summary>config.yaml, {} lines</summary>\n<pre>{}</pre></details>\n",
                                   lines <= 40 ? " open" : "", lines, config_text(run.config))));
}

std::string environment_part(const RunData& run) {
  std::string rows;
  for (const auto& [name, value] : run.environment)
    rows += fmt::format("<tr><th>{}</th><td class=\"any\" style=\"width:100%\">{}</td></tr>\n", escape_html(name),
                        escape_html(value));
  return rows.empty() ? ""
                      : section("environment", "Environment", panel("<table><tbody>\n" + rows + "</tbody></table>\n"));
}

}  // namespace capstan::report
