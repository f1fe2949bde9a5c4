// How captions are drawn from a model, by the names of transformers' GenerationConfig.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/fields.h"

namespace capstan {

struct GenerationConfig {
  int max_new_tokens = 32;
  std::int64_t decoder_start_token_id = 50256;
  std::int64_t eos_token_id = 50256;
  std::int64_t pad_token_id = 50256;
  std::int64_t bos_token_id = 50256;  // not used here; other programs want it in generation_config.json
  // Further ids that end a text: what follows the first one where eos_token_id is a list in generation_config.json.
  std::vector<std::int64_t> other_eos_token_ids{};

  int max_length = 0;
  int min_new_tokens = 0;
  int min_length = 0;

  int num_beams = 1;
  std::string early_stopping = "false";
  double length_penalty = 1.0;
  int num_return_sequences = 1;

  bool do_sample = false;
  double temperature = 1.0;
  int top_k = 50;
  double top_p = 1.0;
  double min_p = 0.0;
  std::int64_t seed = 0;

  double repetition_penalty = 1.0;
  int no_repeat_ngram_size = 0;
  std::vector<std::vector<std::int64_t>> bad_words_ids{};
  std::optional<std::int64_t> forced_bos_token_id{};
  std::vector<std::int64_t> forced_eos_token_id{};
  std::vector<std::int64_t> suppress_tokens{};
  std::vector<std::int64_t> begin_suppress_tokens{};
  std::vector<std::string> stop_strings{};

  // The token ids of the model are not among them: they are not set by hand.
  template <class Visitor>
  void fields(Visitor& v) {
    v("max_new_tokens", max_new_tokens, "Longest caption, in tokens after the start token.", between(1, 4096));
    v("max_length", max_length, "The same with the start token counted; the tighter of the two holds. 0: no limit.",
      at_least(0));
    v("min_new_tokens", min_new_tokens, "Tokens before the end token may come.", at_least(0));
    v("min_length", min_length, "The same with the start token counted; min_new_tokens wins over it.", at_least(0));
    v("num_beams", num_beams, "Texts that are followed at the same time; 1 means no beam search.", between(1, 256));
    v("early_stopping", early_stopping,
      "When beams end: true as soon as num_beams texts are complete, false when better ones are unlikely, never when "
      "there can be none.",
      one_of({"false", "true", "never"}));
    v("length_penalty", length_penalty, "Beams are ranked by log-probability / length^length_penalty.");
    v("num_return_sequences", num_return_sequences, "Captions of each picture.", between(1, 4096));
    v("do_sample", do_sample, "Draw tokens at random instead of taking the likeliest.");
    v("temperature", temperature, "Below 1 likely tokens are drawn more often, above 1 less.", above(0));
    v("top_k", top_k, "Draw from so many of the likeliest tokens only; 0 means all.", at_least(0));
    v("top_p", top_p, "Draw from the fewest tokens that have this probability together.", between(0, 1));
    v("min_p", min_p, "Leave out tokens less likely than this share of the likeliest one.", between(0, 1));
    v("seed", seed, "Draws of a picture depend on this number and on the picture, not on what is beside it.");
    v("repetition_penalty", repetition_penalty, "Above 1 tokens that are in the text become less likely.", above(0));
    v("no_repeat_ngram_size", no_repeat_ngram_size, "No run of so many tokens comes twice; 0 allows all.", at_least(0));
    v("bad_words_ids", bad_words_ids, "Runs of token ids that may not occur: [[11], [262, 640]].", at_least(0));
    v("forced_bos_token_id", forced_bos_token_id, "Token that every caption begins with.", at_least(0));
    v("forced_eos_token_id", forced_eos_token_id, "Tokens of which one ends a caption of full length.", at_least(0));
    v("suppress_tokens", suppress_tokens, "Tokens that are never drawn.", at_least(0));
    v("begin_suppress_tokens", begin_suppress_tokens, "Tokens that do not begin a caption.", at_least(0));
    v("stop_strings", stop_strings, "Texts that end the caption they occur in.");
  }
  // Options that contradict each other, as transformers refuses them.
  void check(std::vector<std::string>& problems) const;

  // Most tokens after the start token, by both limits.
  std::int64_t longest() const;
  // Texts that share the steps of one picture's search.
  int texts_per_picture() const { return num_beams > 1 ? num_beams : num_return_sequences; }
  // Every id that ends a text.
  std::vector<std::int64_t> eos_token_ids() const;
};

// generation_config.json over config.json of a model folder. max_length there counts the start token, and
// max_new_tokens wins over it; without either, 20 new tokens, as transformers does. Settings that change captions and
// that this library does not have are named in a warning. CheckpointError for a value of a wrong type or range.
GenerationConfig read_generation_config(const std::filesystem::path& directory);

// Sets what the JSON object `values` holds, by the rules of generation_config.json; null leaves a setting as it is.
// `name` stands for the source in messages.
void merge_generation_config(GenerationConfig& config, const nlohmann::json& values, std::string_view name);

// generation_config.json for transformers, optimum and Transformers.js, with max_length = longest() + 1 and every
// other setting that is not transformers' default. `seed` belongs to a run and is left out.
void save_generation_config(const GenerationConfig& config, const std::filesystem::path& directory);

}  // namespace capstan
