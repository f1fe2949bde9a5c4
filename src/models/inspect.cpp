// A model folder as a table: one line per parameter, repeated blocks folded into one.
#include "capstan/models/inspect.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/device.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string name;  // block numbers replaced by *
  std::string shape;
  std::string dtype;
  int count = 0;
  std::int64_t numel = 0;
  std::uint64_t bytes = 0;
};

bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string fold_numbers(const std::string& name) {
  std::vector<std::string> parts = split(name, '.');
  for (std::string& part : parts)
    if (is_number(part)) part = "*";
  return join(parts, ".");
}

std::string shape_text(const at::Tensor& tensor) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : tensor.sizes()) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ") + "]";
}

// Blocks whose parameters differ in shape or type get lines of their own.
std::vector<Row> fold(const TensorMap& tensors) {
  std::map<std::tuple<std::string, std::string, std::string>, Row> rows;
  for (const auto& [name, tensor] : tensors) {
    const std::string dtype = dtype_name(tensor.scalar_type());
    Row& row = rows[{fold_numbers(name), shape_text(tensor), dtype}];
    row.name = fold_numbers(name);
    row.shape = shape_text(tensor);
    row.dtype = dtype;
    row.count += 1;
    row.numel += tensor.numel();
    row.bytes += tensor.nbytes();
  }
  std::vector<Row> result;
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  return result;
}

std::string line(const std::string& name, const std::string& shape, int count, const Row& sums,
                 const std::string& dtype, std::size_t width) {
  return fmt::format("{:<{}}  {:>18}  {:>7}  {:>14}  {:>10}  {}\n", name, width, shape, count,
                     fmt::format("{}", fmt::group_digits(sums.numel)), human_bytes(sums.bytes), dtype);
}

std::string head(const fs::path& directory) {
  const fs::path file = directory / "config.json";
  if (!fs::exists(file)) return fmt::format("{}: weights without config.json\n", directory.string());
  const nlohmann::json config = read_json(file);
  const auto type_of = [](const nlohmann::json& part) {
    return part.is_object() && part.contains("model_type") && part["model_type"].is_string()
               ? part["model_type"].get<std::string>()
               : std::string("unknown type");
  };
  std::string text = fmt::format("{}: {}", directory.string(), type_of(config));
  if (config.is_object() && config.contains("encoder") && config.contains("decoder"))
    text += fmt::format(" ({} + {})", type_of(config["encoder"]), type_of(config["decoder"]));
  return text + "\n";
}

}  // namespace

std::string describe_model(const fs::path& directory) {
  const std::vector<Row> rows = fold(read_pretrained_tensors(directory));
  std::size_t width = std::string_view("parameter").size();
  for (const Row& row : rows) width = std::max(width, row.name.size());

  std::map<std::string, Row> modules;
  Row total;
  std::string text = head(directory);
  text += fmt::format("\n{:<{}}  {:>18}  {:>7}  {:>14}  {:>10}  {}\n", "parameter", width, "shape", "tensors", "values",
                      "bytes", "type");
  for (const Row& row : rows) {
    text += line(row.name, row.shape, row.count, row, row.dtype, width);
    for (Row* sums : {&modules[split(row.name, '.').front()], &total}) {
      sums->count += row.count;
      sums->numel += row.numel;
      sums->bytes += row.bytes;
    }
  }
  text += "\n";
  for (const auto& [module, sums] : modules) text += line(module, "", sums.count, sums, "", width);
  text += line("total", "", total.count, total, "", width);
  return text;
}

}  // namespace capstan
