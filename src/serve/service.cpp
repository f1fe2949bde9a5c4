#include "serve/service.h"

#include <fmt/format.h>

#include <cstdint>
#include <future>

#include "serve/http_error.h"

namespace capstan::serve {
namespace {

[[noreturn]] void throw_timeout() {
  throw HttpError(504, "the caption was not ready in time; send it again later, or raise request_timeout");
}

template <class T>
T get_before(std::future<T>& result, Clock::time_point deadline) {
  if (result.wait_until(deadline) != std::future_status::ready) throw_timeout();
  try {
    return result.get();
  } catch (const std::future_error&) {
    throw_timeout();
  }
}

}  // namespace

// The stream has room for one picture of each connection beyond max_waiting, so that submitting never blocks although
// many ask for room at the same moment.
Service::Service(std::shared_ptr<Captioner> captioner, const ServerOptions& options)
    : max_waiting_(options.max_waiting),
      alternatives_(captioner->generation().num_return_sequences),
      stream_(captioner,
              {.batch_size = options.batch_size, .max_waiting = options.max_waiting + options.max_connections}),
      pictures_(captioner, options.threads, options.max_pixels) {}

void Service::require_room() const {
  const auto waiting = stream_.counts().waiting + static_cast<std::uint64_t>(pictures_.waiting());
  if (waiting >= static_cast<std::uint64_t>(max_waiting_))
    throw HttpError(503, fmt::format("{} pictures are waiting already; send this one again later", waiting));
}

std::vector<Caption> Service::caption(std::string bytes, std::string name, Clock::time_point deadline) {
  require_room();
  auto pixels = pictures_.submit(std::move(bytes), std::move(name), deadline);
  auto captions = stream_.submit(get_before(pixels, deadline));
  return get_before(captions, deadline);
}

}  // namespace capstan::serve
