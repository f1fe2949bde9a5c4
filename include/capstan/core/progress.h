// Progress of long work on standard error: a live line on a terminal, nothing elsewhere.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace capstan {

// Progress progress("prepare", 5000, "images");
// for (...) progress.advance(1);      // prepare  1,200/5,000 images  24 %  310.2 images/s  12.3 s left
class Progress {
 public:
  // `total` 0 means unknown. `start` is work done before, so that rates are of this run.
  Progress(std::string_view label, std::int64_t total, std::string_view unit, std::int64_t start = 0);
  ~Progress();
  void advance(std::int64_t count);
  void set_note(std::string note);  // shown at the end of the line: "loss 1.234"
  // Clears the live line so that other output can be printed; the next advance draws it again.
  void pause();
  void finish();
  double seconds() const;
  double rate() const;          // units per second since construction
  double seconds_left() const;  // 0 when the total is unknown

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether standard error is a terminal; the CAPSTAN_PROGRESS variable (0 or 1) overrides.
bool progress_visible();

}  // namespace capstan
