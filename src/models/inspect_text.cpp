// A model folder as a table: one line per parameter, repeated blocks folded into one, then memory and cost.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "capstan/core/strings.h"
#include "capstan/models/inspect.h"

namespace capstan {
namespace {

using nlohmann::ordered_json;

struct Row {
  std::string name;  // block numbers replaced by *
  std::string shape;
  std::string dtype;
  int count = 0;
  std::int64_t numel = 0;
  std::uint64_t bytes = 0;

  void add(const Row& other) {
    count += other.count;
    numel += other.numel;
    bytes += other.bytes;
  }
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

Row row_of(const ordered_json& tensor) {
  Row row{.name = fold_numbers(tensor["name"].get<std::string>()),
          .shape = {},
          .dtype = tensor["dtype"].get<std::string>(),
          .count = 1,
          .numel = 1,
          .bytes = tensor["bytes"].get<std::uint64_t>()};
  std::vector<std::string> sizes;
  for (const ordered_json& size : tensor["shape"]) {
    row.numel *= size.get<std::int64_t>();
    sizes.push_back(std::to_string(size.get<std::int64_t>()));
  }
  row.shape = "[" + join(sizes, ", ") + "]";
  return row;
}

// Blocks whose parameters differ in shape or type get lines of their own.
std::vector<Row> fold(const ordered_json& tensors) {
  std::map<std::tuple<std::string, std::string, std::string>, Row> rows;
  for (const ordered_json& tensor : tensors) {
    const Row row = row_of(tensor);
    const auto [at, is_new] = rows.emplace(std::tuple(row.name, row.shape, row.dtype), row);
    if (!is_new) at->second.add(row);
  }
  std::vector<Row> result;
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  return result;
}

std::string line(const std::string& name, const Row& row, std::size_t width) {
  return fmt::format("{:<{}}  {:>18}  {:>7}  {:>14}  {:>10}  {}\n", name, width, row.shape, row.count,
                     fmt::format("{}", fmt::group_digits(row.numel)), human_bytes(row.bytes), row.dtype);
}

std::string head(const ordered_json& facts) {
  const auto directory = facts["directory"].get<std::string>();
  if (!facts.contains("model_type")) return fmt::format("{}: weights without config.json\n", directory);
  std::string text = fmt::format("{}: {}", directory, facts["model_type"].get<std::string>());
  if (facts.contains("parts"))
    text += fmt::format(" ({} + {})", facts["parts"][0].get<std::string>(), facts["parts"][1].get<std::string>());
  return text + "\n";
}

std::string table(const std::vector<Row>& rows, std::map<std::string, Row>& types) {
  std::size_t width = std::string_view("parameter").size();
  for (const Row& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("\n{:<{}}  {:>18}  {:>7}  {:>14}  {:>10}  {}\n", "parameter", width, "shape",
                                 "tensors", "values", "bytes", "type");
  std::map<std::string, Row> modules;
  Row total;
  for (const Row& row : rows) {
    text += line(row.name, row, width);
    for (Row* sums : {&modules[split(row.name, '.').front()], &types[row.dtype], &total}) sums->add(row);
  }
  text += "\n";
  for (const auto& [module, sums] : modules) text += line(module, sums, width);
  return text + line("total", total, width);
}

double number(const ordered_json& part, const char* key) { return part.value(key, 0.0); }

std::string flops(double value) {
  return value < 1e9 ? fmt::format("{:.2f} M", value / 1e6) : fmt::format("{:.2f} G", value / 1e9);
}

std::string memory(const ordered_json& facts, const std::map<std::string, Row>& types) {
  constexpr double kFloatBytes = 4;
  std::string text = "\nmemory\n";
  const auto add = [&](const std::string& what, double bytes, const std::string& note) {
    text += fmt::format("  {:<44}  {:>10}  {}\n", what, human_bytes(static_cast<std::uint64_t>(bytes)), note);
  };
  double values = 0;
  for (const auto& [dtype, sums] : types) {
    add("weights as stored, " + dtype, static_cast<double>(sums.bytes), "");
    values += static_cast<double>(sums.numel);
  }
  add("weights in float32", values * kFloatBytes, "half of it in bfloat16 or float16");
  if (!facts.contains("decoder")) return text;
  const ordered_json& decoder = facts["decoder"];
  add(fmt::format("KV cache of one text of {} tokens", decoder["n_positions"].get<int>()),
      number(decoder, "cache_values") * kFloatBytes, "float32");
  if (decoder.contains("cross_cache_values"))
    add("keys and values of one picture", number(decoder, "cross_cache_values") * kFloatBytes, "float32");
  return text;
}

std::string cost(const ordered_json& facts) {
  std::string text;
  const auto add = [&](const std::string& what, const std::string& amount) {
    text += fmt::format("  {:<44}  {:>10}\n", what, amount);
  };
  if (facts.contains("encoder"))
    add(fmt::format("encoder, per picture of {} tokens", facts["encoder"]["tokens"].get<std::int64_t>()),
        flops(number(facts["encoder"], "flops_per_image")));
  if (facts.contains("decoder")) {
    const ordered_json& decoder = facts["decoder"];
    if (number(decoder, "projection_flops_per_image") > 0)
      add("enc_to_dec_proj, per picture", flops(number(decoder, "projection_flops_per_image")));
    if (decoder.contains("cross_flops_per_image"))
      add("cross-attention keys and values, per picture", flops(number(decoder, "cross_flops_per_image")));
    const double fixed = number(decoder, "flops_per_token"), slope = number(decoder, "flops_per_token_and_position");
    add("decoder, token t of a text", fmt::format("{} + {:.4f} M * t", flops(fixed), slope / 1e6));
    add(fmt::format("decoder, last of {} tokens", decoder["n_positions"].get<int>()),
        flops(fixed + slope * decoder["n_positions"].get<int>()));
    add("lm_head, per token", flops(number(decoder, "lm_head_flops_per_token")));
  }
  return text.empty() ? text : "\nfloating-point operations (of matrix products, 2 per multiply-add)\n" + text;
}

std::string fit(const ordered_json& facts) {
  if (facts.contains("problem")) return "\nnot opened by this version: " + facts["problem"].get<std::string>() + "\n";
  if (!facts.contains("fit")) return "";
  std::string text;
  for (const auto& [kind, weights] : facts["fit"].items())
    for (const ordered_json& weight : weights)
      text += fmt::format("{:<10}  {}\n", kind,
                          weight.is_string() ? weight.get<std::string>()
                                             : fmt::format("{} (file {}, model {})", weight["name"].get<std::string>(),
                                                           weight["file"].dump(), weight["model"].dump()));
  return text.empty() ? "\nthe weights fit config.json\n" : "\nthe weights do not all fit config.json\n" + text;
}

}  // namespace

std::string describe_model(const std::filesystem::path& directory) {
  const ordered_json facts = model_facts(directory);
  std::map<std::string, Row> types;
  std::string text = head(facts) + table(fold(facts["parameters"]), types);
  return text + memory(facts, types) + cost(facts) + fit(facts);
}

}  // namespace capstan
