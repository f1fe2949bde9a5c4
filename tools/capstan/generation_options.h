// For commands that draw captions: their own keys and those of GenerationConfig on one command line, the latter over
// what the model folder says.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "capstan/config/load.h"
#include "capstan/generate/options.h"

namespace capstan::cli {

// `Own` has a member `alternatives`: captions of each picture, 0 for what num_return_sequences says.
template <class Own>
struct WithGeneration : Own {
  GenerationConfig generation;

  template <class Visitor>
  void fields(Visitor& v) {
    Own::fields(v);
    generation.fields(v);
  }
};

// Changes what `overrides` name and nothing else. Beams are as many as captions are wanted.
template <class Own>
void apply_generation(const std::vector<std::string>& overrides, GenerationConfig& generation) {
  WithGeneration<Own> given;
  given.generation = generation;
  config::Problems problems;
  config::read(config::load_tree("", overrides), given, problems);
  problems.throw_if_any();
  generation = given.generation;
  if (given.alternatives == 0) return;
  generation.num_return_sequences = given.alternatives;
  if (!generation.do_sample) generation.num_beams = std::max(generation.num_beams, given.alternatives);
}

}  // namespace capstan::cli
