// Captions for a stream of pictures: every picture has a search of its own (greedy, beams, samples), and all searches
// share the steps of one engine. Pictures join whenever there is room and leave when their search is done.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capstan/generate/engine.h"
#include "capstan/generate/options.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

// One text for a picture: ids after the start token and before the end token, and transformers' sequences_scores (sum
// of log-probabilities over length^length_penalty) for beams; for greedy and sampling the sum of log-probabilities,
// the end token's included, before temperature, top_k, top_p and min_p.
struct Candidate {
  std::vector<std::int64_t> ids;
  double score = 0;
};

struct Finished {
  std::uint64_t ticket = 0;           // as given to add()
  std::vector<Candidate> candidates;  // num_return_sequences, best first
};

// Not for several threads.
class Generator {
 public:
  // `tokenizer` is needed for stop_strings only and may be null. engine.max_tokens is set by `options`, and max_rows is
  // raised to the rows of one picture. ConfigError for options that contradict each other or do not fit the model.
  Generator(VisionEncoderDecoder& model, const GenerationConfig& options, std::shared_ptr<const Tokenizer> tokenizer,
            EngineOptions engine = {});
  ~Generator();
  std::int64_t room() const;  // pictures that may be added now
  bool idle() const;          // no picture under way
  // Pictures [B, 3, H, W] with one ticket each; B <= room(). Encodes them at once. What is drawn at random depends on
  // options.seed and the pixels, so that company and order change nothing.
  void add(const at::Tensor& pixel_values_BCHW, std::span<const std::uint64_t> tickets);
  // One token for every text under way; the pictures that ended with it.
  std::vector<Finished> step();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All pictures [B, 3, H, W] through an idle generator, as many at a time as it has room for; in their order.
std::vector<std::vector<Candidate>> generate_candidates(Generator& generator, const at::Tensor& pixel_values_BCHW);
// The same with a generator for these pictures alone, which packs the model's weights anew.
std::vector<std::vector<Candidate>> generate_candidates(VisionEncoderDecoder& model,
                                                        const at::Tensor& pixel_values_BCHW,
                                                        const GenerationConfig& options,
                                                        std::shared_ptr<const Tokenizer> tokenizer = nullptr,
                                                        EngineOptions engine = {});

}  // namespace capstan
