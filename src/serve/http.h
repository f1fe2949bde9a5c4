// The requests: which there are, what is checked before a body is read, and how answers and errors look.
#pragma once
#include <httplib.h>

#include <atomic>
#include <functional>
#include <string>

#include "capstan/serve/server.h"
#include "serve/connection.h"
#include "serve/http_error.h"
#include "serve/metrics.h"
#include "serve/service.h"

namespace capstan::serve {

struct Exchange;

// httplib parses and writes; sockets, threads and limits are ours. For several threads.
class Http : private httplib::Server {
 public:
  Http(const ServerOptions& options, Service& service, const Drain& drain);

  // Binds and listens; the port, or -1.
  int listen_on(const std::string& host, int port);
  int listener() const { return svr_sock_; }
  void close_listener();

  // Every request of one client, until it leaves, is silent for too long, or the server drains.
  void serve(Connection& connection);
  std::atomic<int>& open() { return open_; }  // connections, counted by who accepts them
  // The answer to a client for whom there is no thread.
  void refuse(Connection& connection);

 private:
  bool serve_one(Connection& connection, bool is_last);
  bool wait(const Connection& connection) const;
  void add_routes();
  void add_hooks();
  void check(httplib::Request& request, Exchange& exchange) const;
  void answer_caption(const httplib::Request& request, httplib::Response& response,
                      const httplib::ContentReader& content);
  void caption(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& content);

  const ServerOptions options_;
  Service& service_;
  const Drain& drain_;
  Metrics metrics_;
  std::atomic<int> open_ = 0;
  // The request that this thread is at. httplib's hooks are shared by all connections and are not told which it is.
  static thread_local Exchange* current;
};

}  // namespace capstan::serve
