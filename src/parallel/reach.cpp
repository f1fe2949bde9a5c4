#include "parallel/reach.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

namespace capstan {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPause{100};
constexpr milliseconds kLongestAttempt{5000};  // a firewall that drops packets is tried again, too

int left_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::clamp(left, milliseconds(0), kLongestAttempt).count());
}

// Whether one address answers; sets `reason` when not.
bool answers(const addrinfo& address, Clock::time_point deadline, std::string& reason) {
  const int descriptor = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol);
  if (descriptor < 0) {
    reason = std::strerror(errno);
    return false;
  }
  int error = connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd entry{descriptor, POLLOUT, 0};
    socklen_t length = sizeof(error);
    if (poll(&entry, 1, left_until(deadline)) <= 0) {
      error = ETIMEDOUT;
    } else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
      error = errno;
    }
  }
  close(descriptor);
  if (error != 0) reason = std::strerror(error);
  return error == 0;
}

bool try_once(const std::string& host, int port, Clock::time_point deadline, std::string& reason) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    reason = std::string("the name cannot be resolved, ") + gai_strerror(status);
    return false;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next)
    if (answers(*address, deadline, reason)) return true;
  return false;
}

}  // namespace

std::string wait_for_port(const std::string& host, int port, Clock::time_point deadline) {
  std::string reason = "no answer";
  while (!try_once(host, port, deadline, reason)) {
    if (Clock::now() + kPause >= deadline) return reason;
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

}  // namespace capstan
