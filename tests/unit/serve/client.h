// A server in a thread, and a client that sends bytes as they are.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "capstan/image/decode.h"
#include "capstan/serve/server.h"
#include "support/test_pch.h"
#include "support/tiny_captioner.h"

namespace capstan::testing {

class RunningServer {
 public:
  explicit RunningServer(ServerOptions options = {}) {
    write_tiny_folder(folder_.path(), tiny_config());
    captioner_ = std::make_shared<Captioner>(folder_.path(), CaptionerOptions{.device = "cpu"});
    options.port = 0;
    server_ = std::make_unique<Server>(captioner_, options);
    thread_ = std::thread([this] { server_->run([this] { return stop_.load(); }); });
  }
  ~RunningServer() {
    stop();
    join();
  }
  void stop() { stop_ = true; }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return server_->port(); }
  const Server& server() const { return *server_; }
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  TempDir folder_;
  std::shared_ptr<Captioner> captioner_;
  std::unique_ptr<Server> server_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval longest{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof(longest));
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  bool connected() const { return connected_; }

  void send(const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      const auto count = ::send(socket_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (count <= 0) return;
      done += static_cast<std::size_t>(count);
    }
  }
  // One answer, head and body by its Content-Length; what came when the connection ended before.
  std::string receive() {
    std::string& text = pending_;
    for (;;) {
      const auto end = text.find("\r\n\r\n");
      if (end != std::string::npos) {
        const auto length = text.find("Content-Length: ");
        const std::size_t size = end + 4 + (length < end ? std::stoul(text.substr(length + 16)) : 0);
        if (text.size() >= size) {
          const std::string answer = text.substr(0, size);
          text.erase(0, size);
          return answer;
        }
      }
      std::array<char, 4096> bytes;
      const auto count = ::recv(socket_, bytes.data(), bytes.size(), 0);
      if (count <= 0) return std::exchange(text, "");
      text.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }
  std::string ask(const std::string& request) {
    send(request);
    return receive();
  }

 private:
  int socket_;
  bool connected_ = false;
  std::string pending_;
};

inline std::string post(const std::string& type, const std::string& body, const std::string& headers = "") {
  return "POST /caption HTTP/1.1\r\nHost: x\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

inline std::string tiny_jpeg(int shade) { return encode_jpeg(tiny_image(24, shade), 90); }

}  // namespace capstan::testing
