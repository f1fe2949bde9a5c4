// From inputs to captions by threads: one lists, some decode, the stream's own draws, and the caller gets the results
// in the order of the inputs.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capstan/generate/stream.h"
#include "capstan/image/decode.h"
#include "caption/inputs.h"

namespace capstan::cli {

struct PipelineOptions {
  int batch_size = 0;    // as CaptionStreamOptions
  int num_decoders = 1;  // threads that open, decode and resize
  DecodeOptions decode;
};

struct Result {
  std::string name;               // Input::name
  std::vector<Caption> captions;  // empty when there is an error
  std::string error;              // names the picture
};

// Calls `list` in a thread of its own and `give` in the caller's, once for every input, in their order and as soon as
// it is that input's turn. `give` returns false when no more are wanted. When the program is asked to stop, the
// pictures under way are finished and given, and what comes after them is left out.
// An exception of `give` ends everything and goes through to the caller.
void caption_inputs(std::shared_ptr<Captioner> captioner, const PipelineOptions& options,
                    const std::function<void(const InputSink&)>& list, const std::function<bool(Result)>& give);

}  // namespace capstan::cli
