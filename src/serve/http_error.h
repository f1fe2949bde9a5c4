// Why a request is not answered with a caption.
#pragma once
#include <string>

#include "capstan/core/error.h"

namespace capstan::serve {

class HttpError : public Error {
 public:
  HttpError(int status, const std::string& text) : Error(text), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

}  // namespace capstan::serve
