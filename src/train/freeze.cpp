#include "capstan/train/freeze.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/models/adapters.h"
#include "capstan/nn/patterns.h"

namespace capstan {
namespace {

void set_matching(const VisionEncoderDecoder& model, const char* key, const std::string& text, bool trainable) {
  const NamePattern pattern(text);
  std::vector<std::string> names;
  bool found = false;
  for (const auto& item : model.named_parameters()) {
    names.push_back(item.key());
    if (!pattern.matches(item.key())) continue;
    item.value().set_requires_grad(trainable);
    found = true;
  }
  if (!found)
    throw ConfigError(fmt::format("{}: '{}' matches no parameter.{} `capstan inspect` lists the names of a model.", key,
                                  text, nearest_name(text, names)));
}

}  // namespace

void apply_freeze(VisionEncoderDecoder& model, const std::vector<std::string>& freeze,
                  const std::vector<std::string>& unfreeze) {
  for (const std::string& pattern : freeze) set_matching(model, "freeze", pattern, false);
  for (const std::string& pattern : unfreeze) set_matching(model, "unfreeze", pattern, true);
  for (const NamedLayer& item : linear_layers(model))
    if (item.layer->has_lora() && item.layer->weight.requires_grad())
      throw ConfigError(
          fmt::format("unfreeze: {}.weight has an adapter and cannot be trained itself; leave the layer out "
                      "of lora.target_modules (lora.exclude_modules), or do not unfreeze it",
                      item.name));
  if (count_parameters(model).trainable == 0)
    throw ConfigError("freeze: every parameter is frozen, there is nothing to train; name fewer, or unfreeze some");
}

ParameterCount count_parameters(const VisionEncoderDecoder& model) {
  ParameterCount count;
  for (const at::Tensor& parameter : model.parameters()) {
    count.total += parameter.numel();
    if (parameter.requires_grad()) count.trainable += parameter.numel();
  }
  return count;
}

bool trains_encoder(const VisionEncoderDecoder& model) {
  return std::ranges::any_of(model.named_parameters(), [](const auto& item) {
    return item.value().requires_grad() && !item.key().starts_with("decoder.");
  });
}

std::string trainable_text(const ParameterCount& count) {
  const double share = 100.0 * static_cast<double>(count.trainable) / static_cast<double>(count.total);
  return fmt::format("trainable parameters: {} of {} ({:.2f} %)", human_count(static_cast<double>(count.trainable)),
                     human_count(static_cast<double>(count.total)), share);
}

}  // namespace capstan
