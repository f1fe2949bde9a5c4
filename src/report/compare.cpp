#include "capstan/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "capstan/config/load.h"
#include "capstan/core/error.h"
#include "capstan/report/config_keys.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/text_plot.h"

namespace capstan {
namespace {

using report::Figure;
using report::format_number;

constexpr int kPlotRows = 18;

// To `width` characters, "..." for what is cut.
std::string fit(const std::string& text, std::size_t width) {
  std::size_t characters = 0, cut = text.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) == 0x80) continue;
    if (characters + 3 == width) cut = i;
    ++characters;
  }
  return characters <= width ? text + std::string(width - characters, ' ') : text.substr(0, cut) + "...";
}

class Table {
 public:
  explicit Table(int width) {
    const std::size_t columns = static_cast<std::size_t>(std::max(width, 60)) - 3;
    name_ = columns * 3 / 10;
    value_ = (columns - name_) / 3;
  }

  void row(const std::string& name, const std::string& a, const std::string& b, const std::string& change = "") {
    if (a.empty() && b.empty()) return;
    std::string line = fit(name, name_) + " " + fit(a.empty() ? "-" : a, value_) + " " +
                       fit(b.empty() ? "-" : b, value_) + " " + fit(change, value_);
    line.erase(line.find_last_not_of(' ') + 1);
    text_ += line + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::size_t name_, value_;
  std::string text_;
};

std::string change(double a, double b) {
  const std::string text = fmt::format("{:+.4g}", b - a);
  return a != 0 && b != a ? fmt::format("{} ({:+.1f} %)", text, 100 * (b - a) / std::abs(a)) : text;
}

std::string at_step(const std::optional<CurvePoint>& point) {
  return point ? fmt::format("{:.4f} (step {:.0f})", point->y, point->x) : "";
}

std::optional<CurvePoint> last_of(const Series& series) {
  return series.empty() ? std::nullopt : std::optional<CurvePoint>(series.back());
}

void add_points(Table& table, const std::string& name, std::optional<CurvePoint> a, std::optional<CurvePoint> b) {
  table.row(name, at_step(a), at_step(b), a && b ? change(a->y, b->y) : "");
}

void add_scores(Table& table, const RunData& a, const RunData& b) {
  std::set<std::string> names;
  for (const RunData* run : {&a, &b})
    for (const std::string& name : run->score_names()) names.insert(name);
  for (const std::string& name : names) {
    const auto label = "eval " + name;
    add_points(table, label + ", best", best_of(a.score(name), name), best_of(b.score(name), name));
    add_points(table, label + ", last", last_of(a.score(name)), last_of(b.score(name)));
  }
}

void add_speed(Table& table, const RunData& a, const RunData& b) {
  const auto first = report::speed_figures(a), second = report::speed_figures(b);
  const auto same = [](const std::string& name) { return [&name](const Figure& other) { return other.name == name; }; };
  for (const Figure& figure : first) {
    const auto other = std::find_if(second.begin(), second.end(), same(figure.name));
    const bool both = other != second.end();
    const std::string ratio =
        both && figure.value > 0 ? fmt::format("x {:.3g}", other->value / figure.value) : std::string();
    table.row(figure.name, figure.text, both ? other->text : "", ratio);
  }
  for (const Figure& figure : second)
    if (std::none_of(first.begin(), first.end(), same(figure.name))) table.row(figure.name, "", figure.text);
}

std::string figures(const RunData& a, const RunData& b, int width) {
  Table table(width);
  table.row("", "A", "B", "B against A");
  const auto progress = [](const RunData& run) {
    return fmt::format("{} (epoch {:.2f})", run.last_step, run.last_epoch);
  };
  table.row("last step", progress(a), progress(b));
  const auto loss_a = report::settled_loss(a), loss_b = report::settled_loss(b);
  table.row("training loss, last", loss_a ? fmt::format("{:.4f}", *loss_a) : "",
            loss_b ? fmt::format("{:.4f}", *loss_b) : "", loss_a && loss_b ? change(*loss_a, *loss_b) : "");
  add_scores(table, a, b);
  add_speed(table, a, b);
  table.row("events", report::count_events(a), report::count_events(b));
  table.row("checkpoints", std::to_string(a.checkpoints.size()), std::to_string(b.checkpoints.size()));
  return table.text();
}

std::string curves(const std::string& title, const Series& a, const Series& b, int width) {
  const std::vector<report::TextCurve> lines{{'a', a}, {'b', b}};
  const std::string plot = report::text_plot(lines, width, kPlotRows);
  return plot.empty() ? "" : fmt::format("\n{} over steps: a, b, * both\n{}", title, plot);
}

std::string config_lines(const RunData& a, const RunData& b, int width) {
  std::vector<report::FlatConfig> flat;
  for (const RunData* run : {&a, &b}) {
    const std::string name = (run->path / "config.yaml").string();
    if (run->config.empty()) return fmt::format("\nconfiguration: {} is missing, so nothing to compare\n", name);
    try {
      flat.push_back(report::flatten(config::parse_yaml(run->config, name)));
    } catch (const Error& error) {
      return fmt::format("\nconfiguration: {}\n", error.what());
    }
  }
  const auto different = report::differences(flat[0], flat[1]);
  if (different.empty()) return "\nconfiguration: the same\n";
  std::size_t longest = 0;
  for (const auto& key : different) longest = std::max(longest, key.key.size());
  const std::size_t columns = static_cast<std::size_t>(std::max(width, 60)) - 7;
  longest = std::min(longest, columns / 2);
  const std::size_t value = (columns - longest) / 2;
  std::string text = fmt::format("\nconfiguration: {} key{} differ{} (A | B)\n", different.size(),
                                 different.size() == 1 ? "" : "s", different.size() == 1 ? "s" : "");
  for (const auto& key : different) {
    text += fmt::format("  {}  {} | {}", fit(key.key, longest), fit(key.a, value), fit(key.b, value));
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string compare_runs(const std::filesystem::path& run_a, const std::filesystem::path& run_b, int width) {
  const RunData a = read_run(run_a), b = read_run(run_b);
  std::string text = fmt::format("A: {}\nB: {}\n\n", run_a.string(), run_b.string()) + figures(a, b, width) +
                     curves("training loss", a.curve("loss"), b.curve("loss"), width) +
                     curves("evaluation loss", a.score("loss"), b.score("loss"), width) + config_lines(a, b, width);
  for (const RunData* run : {&a, &b})
    for (const std::string& note : run->notes) text += fmt::format("\n{}: left out: {}\n", run->path.string(), note);
  return text;
}

}  // namespace capstan
