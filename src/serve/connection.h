// One client's socket as a stream for cpp-httplib. Every wait has an end, and a request may bring so many bytes and no
// more, so that a slow, silent or endless client gives its thread back.
#pragma once
#include <httplib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "serve/drain.h"

namespace capstan::serve {

class Connection : public httplib::Stream {
 public:
  explicit Connection(int socket);  // takes a non-blocking socket and closes it at the end
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  enum class Wait { kReadable, kEvent, kNothing };
  // For the first byte of a request, or for `event` (-1: none) to become readable.
  Wait wait(Clock::duration longest, int event) const;
  // From here on read() gives at most `bytes` and fails after `deadline`.
  void allow(std::int64_t bytes, Clock::time_point deadline);
  enum class Failure { kNone, kTimeout, kTooLarge, kClosed };
  Failure failure() const { return failure_; }  // why read() failed, since allow()
  // Ends our side and throws away what the client still sends, so that it gets to see the answer.
  void linger(Clock::duration longest);

  ssize_t read(char* bytes, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  using httplib::Stream::write;
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool fill();

  int socket_;
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0;  // of what was received and not yet read
  std::size_t end_ = 0;
  std::int64_t allowance_ = 0;
  Clock::time_point deadline_;
  Failure failure_ = Failure::kNone;
};

}  // namespace capstan::serve
