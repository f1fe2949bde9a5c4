#include "serve/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace capstan::serve {
namespace {

constexpr auto kSilence = std::chrono::seconds(10);  // longest pause of a client in the middle of a request or answer

int milliseconds_until(Clock::time_point time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

// Whether the socket is ready for `events` (or broken, which reading and writing will tell) before `deadline`.
bool ready(int socket, short events, Clock::time_point deadline) {
  pollfd entry{.fd = socket, .events = events, .revents = 0};
  for (;;) {
    const int found = ::poll(&entry, 1, milliseconds_until(deadline));
    if (found > 0) return true;
    if (found == 0 || errno != EINTR) return false;
  }
}

bool is_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

using AddressOf = int (*)(int, sockaddr*, socklen_t*);

void read_address(int socket, AddressOf address_of, std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (address_of(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return;
  std::array<char, NI_MAXHOST> host{};
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host.data(), host.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0)
    ip = host.data();
  port = ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

Connection::Connection(int socket) : socket_(socket) {
  // Head and body of an answer are two writes; without this the second waits for the client's acknowledgement.
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

Connection::~Connection() { ::close(socket_); }

Connection::Wait Connection::wait(Clock::duration longest, int event) const {
  if (begin_ < end_) return Wait::kReadable;  // the client did not wait for the last answer
  std::array<pollfd, 2> entries{pollfd{.fd = socket_, .events = POLLIN, .revents = 0},
                                pollfd{.fd = event, .events = POLLIN, .revents = 0}};
  const auto deadline = Clock::now() + longest;
  for (;;) {
    const int found = ::poll(entries.data(), entries.size(), milliseconds_until(deadline));
    if (found < 0 && errno == EINTR) continue;
    if (found <= 0) return Wait::kNothing;
    if (entries[0].revents == 0) return Wait::kEvent;
    char first = 0;  // a client that has left is readable as well
    return ::recv(socket_, &first, 1, MSG_PEEK) > 0 ? Wait::kReadable : Wait::kNothing;
  }
}

void Connection::allow(std::int64_t bytes, Clock::time_point deadline) {
  allowance_ = bytes;
  deadline_ = deadline;
  failure_ = Failure::kNone;
}

bool Connection::fill() {
  if (allowance_ <= 0) {
    failure_ = Failure::kTooLarge;
    return false;
  }
  for (;;) {
    const auto most = std::min<std::int64_t>(allowance_, static_cast<std::int64_t>(buffer_.size()));
    const ssize_t count = ::recv(socket_, buffer_.data(), static_cast<std::size_t>(most), 0);
    if (count > 0) {
      begin_ = 0;
      end_ = static_cast<std::size_t>(count);
      allowance_ -= count;
      return true;
    }
    if (count == 0 || !is_later(errno)) {
      failure_ = Failure::kClosed;
      return false;
    }
    if (!ready(socket_, POLLIN, std::min(deadline_, Clock::now() + kSilence))) {
      failure_ = Failure::kTimeout;
      return false;
    }
  }
}

ssize_t Connection::read(char* bytes, std::size_t size) {
  // A client that sends a byte now and then is never caught waiting.
  if (Clock::now() > deadline_) {
    failure_ = Failure::kTimeout;
    return -1;
  }
  if (begin_ == end_ && !fill()) return -1;
  const std::size_t count = std::min(size, end_ - begin_);
  std::memcpy(bytes, buffer_.data() + begin_, count);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* bytes, std::size_t size) {
  const auto deadline = Clock::now() + kSilence;
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = ::send(socket_, bytes + done, size - done, MSG_NOSIGNAL);
    if (count >= 0)
      done += static_cast<std::size_t>(count);
    else if (!is_later(errno) || !ready(socket_, POLLOUT, deadline))
      return -1;
  }
  return static_cast<ssize_t>(size);
}

void Connection::linger(Clock::duration longest) {
  ::shutdown(socket_, SHUT_WR);
  const auto deadline = Clock::now() + longest;
  while (Clock::now() < deadline) {
    const ssize_t count = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (count == 0 || (count < 0 && !is_later(errno))) return;
    if (count < 0 && !ready(socket_, POLLIN, deadline)) return;
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  read_address(socket_, ::getpeername, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  read_address(socket_, ::getsockname, ip, port);
}

}  // namespace capstan::serve
