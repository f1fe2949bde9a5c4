// One line of metrics.jsonl, read without building a tree: a long run has 100000 of them.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace capstan::report {

class MetricsLine {
 public:
  // Whether `line` is a whole JSON object. Forgets the line before.
  bool parse(const std::string& line);

  // Of the outermost object. Lists and objects inside are passed over.
  const std::vector<std::pair<std::string, double>>& numbers() const { return numbers_; }
  std::optional<double> number(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  // All but step, epoch and event as text, in the order of the line.
  std::vector<std::pair<std::string, std::string>> others() const;

 private:
  std::vector<std::pair<std::string, double>> numbers_;
  std::vector<std::pair<std::string, std::string>> texts_;  // the strings
  std::string line_;
};

}  // namespace capstan::report
