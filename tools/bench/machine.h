// What this machine can do at best, measured: the limits that generation is compared with.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace bench {

class Machine {
 public:
  explicit Machine(int num_threads);
  ~Machine();
  // Floating point operations per second of products:
  //   "float32", "bfloat16"          the library's (at::linear), the better of the shapes of ViT-B/16 for 8 pictures
  //                                  and of a square of 3072
  //   "own float32", "own bfloat16"  our packed products in the shapes of ViT-B/16; 0 without AMX
  double product_rate(const std::string& what, double seconds);
  // Bytes per second that all threads together read from a buffer of so many bytes.
  double read_rate(std::int64_t bytes, double seconds);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bench
