// Bytes of a picture to its captions, for many connections at once and each within its time.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "capstan/generate/stream.h"
#include "capstan/serve/server.h"
#include "serve/drain.h"
#include "serve/pictures.h"

namespace capstan::serve {

// For several threads.
class Service {
 public:
  Service(std::shared_ptr<Captioner> captioner, const ServerOptions& options);

  // HttpError 503 while max_waiting pictures wait.
  void require_room() const;
  // Best first. DataError for what is no picture, HttpError 503 when there is no room and 504 after `deadline`.
  std::vector<Caption> caption(std::string bytes, std::string name, Clock::time_point deadline);

  int alternatives() const { return alternatives_; }  // captions of each picture
  int decoding() const { return pictures_.waiting(); }
  CaptionStream::Counts counts() const { return stream_.counts(); }

 private:
  int max_waiting_;
  int alternatives_;
  CaptionStream stream_;
  Pictures pictures_;
};

}  // namespace capstan::serve
