// A trace of a few updates for chrome://tracing or ui.perfetto.dev.
#pragma once
#include <cstdint>
#include <filesystem>

namespace capstan {

class StepProfiler {
 public:
  // Traces updates `first` to `first + count - 1` and writes them to `path`.
  StepProfiler(std::filesystem::path path, std::int64_t first, std::int64_t count, bool on_gpu);
  ~StepProfiler();
  void before_step(std::int64_t step);
  void after_step(std::int64_t step);

 private:
  std::filesystem::path path_;
  std::int64_t first_, last_;
  bool on_gpu_, running_ = false;
};

}  // namespace capstan
