// When a request is tried again, and what is said when it is not.
#pragma once
#include <string>

#include "hub/request.h"

namespace capstan::hub {

struct Retry {
  int retries = 6;         // in a row without getting further
  double first_pause = 1;  // seconds; doubles each time, up to a minute
};

// Seconds to wait before try `failures` + 1, some of it random so that many clients do not come back together.
double pause_after(int failures, double retry_after, const Retry& retry);

// Sleeps, but not longer than until the program is asked to stop.
void sleep_for(double seconds);

// DataError when the program was asked to stop.
void throw_if_stopped();

// One answer to a small request: the body of a good one, or the beginning of another.
struct Answer {
  std::string url;  // after redirects
  long status = 0;
  Headers headers;
  std::string body;
};

// GET, tried again while the failure may pass. Answers of 4xx are returned, not thrown; DataError when no answer comes.
Answer get_text(const Access& access, const Retry& retry, const std::string& url);
// HEAD; redirects to other hosts are not followed, because the endpoint's own headers describe the file.
Answer get_headers(const Access& access, const Retry& retry, const std::string& url);

// What a refusal means and what helps: 401, 403, 404 and others. `subject` is what was asked for, `page` the address
// where access is asked for ("" when there is none).
std::string explain_refusal(const Access& access, const std::string& subject, const std::string& page,
                            const Answer& answer);

}  // namespace capstan::hub
