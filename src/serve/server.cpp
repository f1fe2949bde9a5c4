// Listening, one thread for each connection, and the way out.
#include "capstan/serve/server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "serve/connection.h"
#include "serve/http.h"
#include "serve/service.h"

namespace capstan {
namespace {

constexpr int kPollMilliseconds = 50;  // between two looks at `stop`
constexpr int kMaxRefusals = 64;       // connections that wait to be told that there is no room

bool readable(int socket) {
  pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, kPollMilliseconds) > 0;
}

}  // namespace

struct Server::State {
  State(std::shared_ptr<Captioner> captioner, const ServerOptions& given)
      : options(given), service(std::move(captioner), given), http(given, service, drain) {}

  void accept_all();
  void take(int socket);

  const ServerOptions options;
  serve::Drain drain;
  serve::Service service;
  serve::Http http;
  int port = 0;
  std::atomic<int> refusals = 0;
  std::unique_ptr<httplib::ThreadPool> clients;
  std::unique_ptr<httplib::ThreadPool> refuser;
};

Server::Server(std::shared_ptr<Captioner> captioner, const ServerOptions& options)
    : state_(std::make_unique<State>(std::move(captioner), options)) {
  errno = 0;
  state_->port = state_->http.listen_on(options.host, options.port);
  if (state_->port < 0)
    throw ConfigError(fmt::format("cannot listen on {} port {}{}; choose another host or port", options.host,
                                  options.port, errno != 0 ? fmt::format(": {}", std::strerror(errno)) : ""));
}

Server::~Server() { state_->http.close_listener(); }

int Server::port() const { return state_->port; }

std::string Server::url() const {
  const std::string& host = state_->options.host;
  return fmt::format("http://{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", state_->port);
}

void Server::run(const std::function<bool()>& stop) {
  State& state = *state_;
  state.clients = std::make_unique<httplib::ThreadPool>(static_cast<std::size_t>(state.options.max_connections));
  state.refuser = std::make_unique<httplib::ThreadPool>(1);
  while (!stop())
    if (readable(state.http.listener())) state.accept_all();
  state.drain.begin();
  state.accept_all();  // who came before the end is still served
  state.http.close_listener();
  state.refuser->shutdown();
  state.clients->shutdown();
}

void Server::State::accept_all() {
  for (;;) {
    const int socket = ::accept4(http.listener(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      take(socket);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    // Most likely no descriptors or memory are left until some connection ends.
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return;
  }
}

void Server::State::take(int socket) {
  auto connection = std::make_shared<serve::Connection>(socket);
  if (http.open() < options.max_connections) {
    ++http.open();
    clients->enqueue([this, connection]() mutable {
      try {
        http.serve(*connection);
      } catch (const std::exception& error) {
        log_error(fmt::format("a connection failed: {}", error.what()));
      }
      connection.reset();
      --http.open();
    });
  } else if (refusals < kMaxRefusals) {
    ++refusals;
    refuser->enqueue([this, connection] {
      http.refuse(*connection);
      --refusals;
    });
  }
}

}  // namespace capstan
