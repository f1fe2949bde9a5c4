#include "capstan/report/chart.h"

#include <algorithm>
#include <regex>

#include "support/catch.h"

using namespace capstan;

namespace {

Series line(std::size_t count, double slope = 1, double start = 1) {
  Series series;
  for (std::size_t i = 0; i < count; ++i)
    series.push_back({static_cast<double>(10 * i), start + slope * static_cast<double>(i)});
  return series;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Every tag closed in the right order: what an XML parser would insist on.
bool is_balanced(const std::string& svg) {
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-z]+)[^<>]*?(/?)>)");
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), tag); it != std::sregex_iterator(); ++it) {
    const std::string name = (*it)[2];
    if ((*it)[3] == "/") continue;
    if ((*it)[1] != "/") {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("a chart draws each series, its legend, ticks and values under the pointer", "[report][chart]") {
  const Chart chart{.title = "Loss <raw>",
                    .unit = "nats",
                    .series = {{.name = "training", .points = line(50)},
                               {.name = "training", .points = line(50), .faint = true},
                               {.name = "a & b", .points = line(5, 2), .colour = 1, .markers = true}},
                    .marks = {{.x = 100, .text = "step 100: <loss> spike"}}};
  const std::string svg = svg_chart(chart);
  CHECK(svg.starts_with("<svg"));
  CHECK(is_balanced(svg));
  CHECK(count_of(svg, "<path class=\"line") == 3);
  CHECK(count_of(svg, "class=\"line c0 faint\"") == 1);
  CHECK(count_of(svg, "class=\"at\"") == 50);
  CHECK(svg.find("Loss &lt;raw&gt;") != std::string::npos);
  CHECK(svg.find("a &amp; b") != std::string::npos);
  CHECK(svg.find("step 100: &lt;loss&gt; spike") != std::string::npos);
  CHECK(svg.find("<raw>") == std::string::npos);
  CHECK(svg.find(">400</text>") != std::string::npos);
  CHECK(svg.find("step 20\ntraining: 3\na &amp; b: 5") != std::string::npos);
  CHECK(svg.find("prefers-color-scheme: dark") != std::string::npos);
  CHECK(svg_chart(chart, false).find("<style>") == std::string::npos);
}

TEST_CASE("a chart needs nothing from outside", "[report][chart]") {
  std::string svg = svg_chart({.title = "t", .series = {{.name = "a", .points = line(9)}}});
  svg.erase(svg.find("http://www.w3.org/2000/svg"), 26);  // a name, not an address
  for (const char* part : {"http", "url(", "@import", "<script", "href"}) CHECK(svg.find(part) == std::string::npos);
}

TEST_CASE("charts without points and of one point are charts", "[report][chart]") {
  CHECK(svg_chart({.title = "empty"}).find("no values yet") != std::string::npos);
  CHECK(svg_chart({.title = "empty", .series = {{.name = "a"}}}).find("no values yet") != std::string::npos);
  for (const double value : {0.0, -1.0, 3.5, 1e-12, 1e200}) {
    for (const auto scale : {Chart::Scale::kLinear, Chart::Scale::kLog, Chart::Scale::kAuto}) {
      const std::string svg =
          svg_chart({.title = "one", .series = {{.name = "a", .points = {{7, value}}}}, .scale = scale});
      CHECK(is_balanced(svg));
      CHECK(count_of(svg, "<circle class=\"dot") >= 1);
      CHECK(svg.find("nan") == std::string::npos);
      CHECK(svg.find("inf") == std::string::npos);
    }
  }
}

TEST_CASE("the scale is logarithmic where that was asked for and can be", "[report][chart]") {
  const auto is_log = [](Chart::Scale scale, const Series& points) {
    return svg_chart({.title = "t", .series = {{.name = "a", .points = points}}, .scale = scale}).find("log scale") !=
           std::string::npos;
  };
  CHECK(is_log(Chart::Scale::kLog, line(3)));
  CHECK_FALSE(is_log(Chart::Scale::kLog, line(3, 1, 0)));
  CHECK(is_log(Chart::Scale::kAuto, line(30)));
  CHECK_FALSE(is_log(Chart::Scale::kAuto, line(3)));
  CHECK_FALSE(is_log(Chart::Scale::kLinear, line(30)));
}

TEST_CASE("many points and many marks stay a small picture", "[report][chart]") {
  Chart chart{.title = "big", .series = {{.name = "a", .points = line(500)}, {.name = "b", .points = line(500, 2)}}};
  for (int i = 0; i < 2000; ++i) chart.marks.push_back({.x = 2.5 * i, .text = "step: update_skipped"});
  const std::string svg = svg_chart(chart);
  CHECK(svg.size() < 160'000);
  CHECK(count_of(svg, "class=\"at\"") == 80);
  CHECK(count_of(svg, "class=\"mark\"") <= 110);
  CHECK(svg.find(" more</title>") != std::string::npos);
}

TEST_CASE("events beyond the last point stand at the border", "[report][chart]") {
  Chart chart{.title = "loss"};
  chart.series.push_back({.name = "train", .points = line(5)});
  chart.marks = {{.x = 1e6, .text = "late"}, {.x = -5, .text = "early"}};
  const std::string svg = svg_chart(chart);
  CHECK(count_of(svg, "class=\"mark\"") == 2);
}
