// samples.json of a run: a few pictures and what each evaluation said of them.
#pragma once
#include "capstan/report/run_data.h"

namespace capstan::report {

// Fills pictures and captions where the file is there. DataError when it is not what is expected.
void read_samples(RunData& run);

// What a picture was called over the evaluations; the same words in a row count once.
struct CaptionSpan {
  std::int64_t first_step = 0;
  std::int64_t last_step = 0;
  std::string text;
};

std::vector<CaptionSpan> captions_of(const RunData& run, std::size_t picture);

}  // namespace capstan::report
