// One request on its way.
#pragma once
#include <optional>
#include <string>

#include "serve/connection.h"
#include "serve/http_error.h"

namespace capstan::serve {

struct Exchange {
  Connection& connection;
  Clock::time_point start = Clock::now();
  std::string path = "other";          // for metrics: one that we know, or "other"
  std::optional<HttpError> refusal{};  // found before the body was read
  bool close = false;                  // something of the request may still be on its way
  int status = 0;                      // of the answer; 0: none was written
};

// {"error": ..., "status": ...}; 503 comes with Retry-After.
void set_error(httplib::Response& response, int status, const std::string& text);
void set_json(httplib::Response& response, const std::string& text);

// What can be said from the head alone. HttpError, for instance for a path that is not there, a body without a length
// or a larger one than `max_bytes`. Headers for what is not done here (ranges, compression) are taken out.
void check_head(httplib::Request& request, std::int64_t max_bytes);
bool has_body(const httplib::Request& request);

}  // namespace capstan::serve
