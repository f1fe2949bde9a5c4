// Captions over HTTP:
//
//   capstan::Server server(std::make_shared<capstan::Captioner>("checkpoints/scenes/checkpoint-900"), {.port = 8080});
//   server.run(capstan::stop_requested);  // until SIGTERM
//
// docs/serving.md describes the requests and answers.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "capstan/core/fields.h"
#include "capstan/generate/captioner.h"

namespace capstan {

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;
  int batch_size = 0;
  int max_waiting = 256;
  int threads = 0;
  int max_connections = 128;
  std::int64_t max_request_bytes = 16 * 1024 * 1024;
  std::int64_t max_pixels = 50'000'000;
  double request_timeout = 30;
  bool access_log = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("host", host, "Address to listen on; 0.0.0.0 lets other machines in.");
    v("port", port, "Port to listen on; 0: any that is free.", between(0, 65535));
    v("batch_size", batch_size, "Most pictures captioned together; 0: by the device.", between(0, 4096));
    v("max_waiting", max_waiting, "Pictures that may wait for their caption; more are refused with 503.",
      between(1, 100000));
    v("threads", threads, "Pictures decoded at a time; 0: half as many as cores.", between(0, 256));
    v("max_connections", max_connections, "Connections at a time; more are refused with 503.", between(1, 900));
    v("max_request_bytes", max_request_bytes, "Larger requests are refused with 413.", at_least(1024));
    v("max_pixels", max_pixels, "Pictures with more pixels are refused with 422.", at_least(1));
    v("request_timeout", request_timeout, "Seconds from the first byte of a request to its caption.",
      between(0.001, 3600));
    v("access_log", access_log, "One line for each request on standard error.");
  }
};

class Server {
 public:
  // Takes the port and begins to listen; connections wait until run(). ConfigError when the address cannot be taken.
  Server(std::shared_ptr<Captioner> captioner, const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;         // the one that was found, for port = 0
  std::string url() const;  // "http://127.0.0.1:8080"
  // Answers requests until `stop` says true (asked 20 times a second), then drains: takes no new connection, answers
  // what has arrived, and returns when the last answer is out. Once for each Server.
  void run(const std::function<bool()>& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace capstan
