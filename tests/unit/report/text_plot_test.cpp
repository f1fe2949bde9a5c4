#include "report/text_plot.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "support/catch.h"

using namespace capstan;
using namespace capstan::report;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a plot has its highest values above and its lowest below, with round numbers", "[report][text_plot]") {
  Series falling;
  for (int i = 0; i <= 100; ++i) falling.push_back({10.0 * i, 10.0 - 0.05 * i});
  const auto lines = lines_of(text_plot(std::vector<TextCurve>{{'o', falling}}, 60, 10));
  REQUIRE(lines.size() == 12);
  CHECK(lines[0].starts_with("10 +o"));
  CHECK(lines[7].starts_with(" 6 +"));
  CHECK(lines[9].ends_with("o"));
  CHECK(lines[10].find("+-----") != std::string::npos);
  CHECK(lines[11].find("500") != std::string::npos);
  for (const auto& line : lines) CHECK(line.size() <= 60);
}

TEST_CASE("two curves keep their marks and share a third where they meet", "[report][text_plot]") {
  const Series rising{{0, 0}, {100, 10}}, falling{{0, 10}, {100, 0}};
  const std::string text = text_plot(std::vector<TextCurve>{{'a', rising}, {'b', falling}}, 50, 11);
  const auto lines = lines_of(text);
  CHECK(lines[0].find('b') < lines[0].find('a'));
  CHECK(lines[10].find('a') < lines[10].find('b'));
  CHECK(lines[5].find('*') != std::string::npos);
}

TEST_CASE("plots of nothing, of one point and of a flat line", "[report][text_plot]") {
  CHECK(text_plot({}, 60, 10).empty());
  CHECK(text_plot(std::vector<TextCurve>{{'o', {}}}, 60, 10).empty());
  CHECK(text_plot(std::vector<TextCurve>{{'o', {{5, 1}}}}, 60, 10).find('o') != std::string::npos);
  const std::string flat = text_plot(std::vector<TextCurve>{{'o', {{0, 0}, {9, 0}}}}, 60, 5);
  CHECK(lines_of(flat)[2].find("oooooooooo") != std::string::npos);
}
