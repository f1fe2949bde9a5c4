// What goes wrong between the processes of a run.
#pragma once
#include "capstan/core/error.h"

namespace capstan {

// A rank that ended, did not arrive or did not answer in time. The text says who saw it, in what, after how long.
class ParallelError : public Error {
 public:
  using Error::Error;
};

}  // namespace capstan
