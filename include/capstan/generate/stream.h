// Captions for pictures that come from many threads: they wait in a bounded queue, and one thread of its own draws all
// captions with one Captioner, batching whatever is there.
//
//   capstan::CaptionStream stream(captioner);
//   auto caption = stream.submit(captioner->pixels(capstan::read_image("photo.jpg")));  // in any thread
//   std::string best = caption.get().front().text;
//
// Pictures join the texts under way whenever there is room for a few, and leave as soon as their own captions are
// drawn; a picture's captions do not depend on those beside it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/generate/captioner.h"

namespace capstan {

struct CaptionStreamOptions {
  int batch_size = 0;     // most pictures under way; 0: by the device and the shape of the search
  int max_waiting = 256;  // pictures in the queue before submit() blocks
};

// What pictures get instead of captions after CaptionStream::stop().
class StoppedError : public Error {
 public:
  using Error::Error;
};

// For several threads. While it lives, only the const members of its Captioner may be used from outside.
class CaptionStream {
 public:
  // ConfigError for options that contradict each other.
  CaptionStream(std::shared_ptr<Captioner> captioner, const CaptionStreamOptions& options = {});
  // Finishes what was submitted.
  ~CaptionStream();
  // One picture, [1, 3, H, W] as Captioner::pixels makes it. The captions, best first, or the error of this picture.
  std::future<std::vector<Caption>> submit(at::Tensor pixel_values_1CHW);
  // What is under way is finished; what waits and what is submitted later gets a StoppedError.
  void stop();

  struct Counts {
    std::uint64_t submitted = 0, finished = 0, steps = 0;  // finished: with captions or an error
    std::uint64_t rows = 0;                                // texts summed over steps
    std::uint64_t waiting = 0, running = 0;                // pictures now
  };
  Counts counts() const;
  int batch_size() const;  // the number in use

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace capstan
