// A parsed YAML tree in which every value knows its file and line.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::config {

struct Node {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  std::string scalar;                                 // text of a scalar, environment already filled in
  bool quoted = false;                                // "12" stays a string
  std::vector<Node> items;                            // of a sequence
  std::vector<std::pair<std::string, Node>> entries;  // of a map, in file order
  std::string file;                                   // or "command line"
  int line = 0;                                       // from 1; 0 when there is none
  int key_line = 0;                                   // line of the key that holds this value

  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  std::string where() const;  // "configs/train/coco.yaml:12" or "command line"
};

// Collects everything that is wrong with a configuration, so that it can be said at once.
class Problems {
 public:
  void add(const Node& at, const std::string& text);  // "file:line: text"
  void add(const std::string& text);
  bool empty() const { return lines_.empty(); }
  // ConfigError with every line when there is one.
  void throw_if_any() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace capstan::config
