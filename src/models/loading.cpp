// Matching first, values second, so that an error leaves the model as it was.
#include "models/loading.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/models/adapters.h"
#include "models/weights.h"

namespace capstan {
namespace {

// Two parameters must not share memory: training one would change the other. Files may hold a tensor twice over.
class Claims {
 public:
  // Whether no byte of the tensor was claimed before; then it is now.
  bool claim(const at::Tensor& tensor) {
    const auto* const begin = static_cast<const char*>(tensor.const_data_ptr());
    const auto* const end = begin + tensor.nbytes();
    const auto next = ranges_.lower_bound(end);
    if (next != ranges_.begin() && std::prev(next)->second > begin) return false;
    ranges_[begin] = end;
    return true;
  }

 private:
  std::map<const char*, const char*> ranges_;
};

std::vector<std::string> described(const std::vector<MismatchedWeight>& mismatched) {
  std::vector<std::string> lines;
  for (const MismatchedWeight& weight : mismatched)
    lines.push_back(fmt::format("{} (file [{}], model [{}])", weight.name, fmt::join(weight.file_shape, ", "),
                                fmt::join(weight.model_shape, ", ")));
  return lines;
}

}  // namespace

std::string report_text(const LoadReport& report) {
  std::string text;
  const auto add = [&](const std::vector<std::string>& names, const char* what) {
    if (!names.empty()) text += name_list(names, what) + "\n";
  };
  add(report.newly_initialized, "are in no file and start fresh");
  add(described(report.mismatched), "have another shape in the file and start fresh");
  add(report.unexpected, "have no use in this model");
  return text;
}

WeightSlots weight_slots(const torch::nn::Module& model) {
  WeightSlots slots;
  for (const auto& item : model.named_parameters())
    if (!is_adapter_parameter(item.key())) slots[item.key()] = {item.value(), false};
  for (const auto& item : model.named_buffers()) slots[item.key()] = {item.value(), true};
  return slots;
}

TensorMap model_tensors(const TensorMap& tensors, const VisionEncoderDecoderConfig& config) {
  TensorMap result = reference_names(tensors, vision_families().find(config.encoder.model_type));
  if (config.decoder.tie_word_embeddings) settle_tied_head(result);
  return result;
}

LoadReport match_weights(const WeightSlots& slots, const TensorMap& tensors) {
  LoadReport report;
  for (const auto& [name, slot] : slots) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!slot.optional) report.newly_initialized.push_back(name);
    } else if (found->second.sizes() != slot.tensor.sizes()) {
      report.mismatched.push_back({name, found->second.sizes().vec(), slot.tensor.sizes().vec()});
    }
  }
  for (const auto& [name, tensor] : tensors)
    if (!slots.contains(name)) report.unexpected.push_back(name);
  return report;
}

std::string mismatch_text(const std::vector<MismatchedWeight>& mismatched) {
  return name_list(described(mismatched), "have another shape than config.json says");
}

void copy_weights(VisionEncoderDecoder& model, const TensorMap& tensors, LoadReport* report) {
  const TensorMap given = model_tensors(tensors, model.config());
  const WeightSlots slots = weight_slots(model);
  const LoadReport found = match_weights(slots, given);
  if (!found.mismatched.empty())
    throw CheckpointError(mismatch_text(found.mismatched) + ". Use the weights and the config.json of the same model.");
  if (report != nullptr) {
    *report = found;
  } else {
    std::vector<std::string> problems;
    if (!found.newly_initialized.empty()) problems.push_back(name_list(found.newly_initialized, "are missing"));
    if (!found.unexpected.empty()) problems.push_back(name_list(found.unexpected, "do not belong to the model"));
    if (!problems.empty()) throw CheckpointError(join(problems, "; ") + ".");
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, slot] : slots)
    if (const auto tensor = given.find(name); tensor != given.end()) slot.tensor.detach().copy_(tensor->second);
}

void adopt_weights(const WeightSlots& slots, TensorMap tensors, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  Claims claims;
  for (const auto& [name, slot] : slots) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.sizes() != slot.tensor.sizes()) {
      slot.tensor.set_data(at::zeros(slot.tensor.sizes(), dtype));
      continue;
    }
    at::Tensor value = found->second.to(dtype).contiguous();
    if (!claims.claim(value)) value = value.clone();
    slot.tensor.set_data(value);
    tensors.erase(found);  // a converted file is unmapped as soon as nothing needs it
  }
}

}  // namespace capstan
