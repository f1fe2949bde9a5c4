#include "capstan/app/runs.h"

namespace capstan::app {

void TokenizerSection::check(std::vector<std::string>& problems) const {
  if (path.empty() && train == "none")
    problems.emplace_back(
        "no tokenizer: set tokenizer.path to a tokenizer's folder, or tokenizer.train to byte_bpe or "
        "sentencepiece");
  if (!path.empty() && train != "none")
    problems.emplace_back("tokenizer.path and tokenizer.train exclude each other; found '" + path + "' and '" + train +
                          "'");
}

void PrepareRun::check(std::vector<std::string>& problems) const {
  if (sources.empty()) problems.emplace_back("sources is empty, expected at least one data set as in configs/data");
}

void ModelSection::check(std::vector<std::string>& problems) const {
  if (encoder_from.empty() != decoder_from.empty())
    problems.emplace_back("encoder_from and decoder_from go together; set both or neither");
  if (!from_pretrained.empty() && !encoder_from.empty())
    problems.emplace_back("from_pretrained and encoder_from exclude each other");
  if (from_pretrained.empty() && encoder_from.empty() && lora.r > 0 && lora.modules_to_save.empty())
    problems.emplace_back(
        "lora.r is above 0, but the weights under the adapter would be fresh and stay so: set "
        "from_pretrained, or encoder_from and decoder_from");
}

void EvaluateRun::check(std::vector<std::string>& problems) const {
  for (const auto& name : metrics)
    if (!capstan::metrics().contains(name))
      problems.emplace_back("metrics: unknown metric '" + name + "'; known: " + join(capstan::metrics().names(), ", "));
  if (metrics.empty()) problems.emplace_back("metrics is empty, expected at least one");
}

}  // namespace capstan::app
