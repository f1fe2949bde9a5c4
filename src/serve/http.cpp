#include "serve/http.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>

#include "capstan/core/log.h"
#include "serve/exchange.h"
#include "serve/page.h"
#include "serve/picture_request.h"

namespace capstan::serve {
namespace {

constexpr int kIdleSeconds = 10;  // a connection may be silent between two requests
constexpr int kHeadSeconds = 10;  // from the first byte of a request to the end of its head
constexpr int kMaxHeadBytes = 64 * 1024;
constexpr int kRequestsPerConnection = 10'000;
constexpr auto kFarewell = std::chrono::seconds(2);  // for idle connections of a server that drains
constexpr auto kLinger = std::chrono::seconds(2);

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Clock::time_point after(Clock::time_point start, double seconds) {
  return start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::string format_captions(const std::vector<Caption>& captions, int wanted, double milliseconds) {
  nlohmann::ordered_json answer{{"caption", captions.front().text}, {"captions", nlohmann::ordered_json::array()}};
  const std::size_t count = wanted > 0 ? std::min(captions.size(), static_cast<std::size_t>(wanted)) : captions.size();
  for (std::size_t i = 0; i < count; ++i)
    answer["captions"].push_back({{"text", captions[i].text}, {"score", captions[i].score}});
  answer["milliseconds"] = std::round(milliseconds * 100) / 100;
  return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Why a body did not arrive whole.
HttpError incomplete(const Connection& connection, std::int64_t max_bytes) {
  switch (connection.failure()) {
    case Connection::Failure::kTimeout:
      return {408, "the request took too long to arrive"};
    case Connection::Failure::kTooLarge:
      return request_too_large(max_bytes);
    case Connection::Failure::kClosed:
      return {400, "the connection ended before the request was complete"};
    case Connection::Failure::kNone:
      break;
  }
  return {400, "the body is malformed: its form or its chunks cannot be read"};
}

}  // namespace

thread_local Exchange* Http::current = nullptr;

Http::Http(const ServerOptions& options, Service& service, const Drain& drain)
    : options_(options), service_(service), drain_(drain) {
  set_keep_alive_timeout(kIdleSeconds);
  set_keep_alive_max_count(kRequestsPerConnection);
  // Not SO_REUSEPORT, httplib's choice: a second server on the same port would take half of the connections.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  add_routes();
  add_hooks();
}

int Http::listen_on(const std::string& host, int port) {
  const int found = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
  // httplib listens with room for five clients that wait to be accepted.
  if (found > 0 && (::listen(svr_sock_, SOMAXCONN) != 0 || ::fcntl(svr_sock_, F_SETFL, O_NONBLOCK) != 0)) return -1;
  return found;
}

void Http::close_listener() {
  const socket_t socket = svr_sock_.exchange(INVALID_SOCKET);
  if (socket != INVALID_SOCKET) ::close(socket);
}

void Http::serve(Connection& connection) {
  for (int left = kRequestsPerConnection; left > 0 && wait(connection); --left)
    if (!serve_one(connection, left == 1)) return;
}

bool Http::wait(const Connection& connection) const {
  auto found = connection.wait(std::chrono::seconds(kIdleSeconds), drain_.event());
  // The client may be sending a request just now.
  if (found == Connection::Wait::kEvent) found = connection.wait(kFarewell, -1);
  return found == Connection::Wait::kReadable;
}

bool Http::serve_one(Connection& connection, bool is_last) {
  Exchange exchange{.connection = connection};
  connection.allow(kMaxHeadBytes, after(exchange.start, kHeadSeconds));
  current = &exchange;
  bool client_closes = false;
  const bool written =
      process_request(connection, is_last, client_closes, [&](httplib::Request& request) { check(request, exchange); });
  current = nullptr;
  if (exchange.status == 0 && connection.failure() != Connection::Failure::kNone) metrics_.count_aborted();
  const bool goes_on = written && !client_closes && !exchange.close && !is_last && !drain_.begun() &&
                       connection.failure() == Connection::Failure::kNone;
  if (!goes_on && exchange.status > 0) connection.linger(kLinger);
  return goes_on;
}

void Http::refuse(Connection& connection) {
  const std::string body = R"({"error":"too many connections; try again later","status":503})"
                           "\n";
  connection.write(
      fmt::format("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                  "Content-Length: {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{}",
                  body.size(), body));
  metrics_.count("other", 503, 0);
  connection.linger(std::chrono::milliseconds(50));
}

// The head is known. Whatever can be refused without reading the body is refused here; the answer then closes the
// connection, because the body is on its way.
void Http::check(httplib::Request& request, Exchange& exchange) const {
  try {
    check_head(request, options_.max_request_bytes);
    exchange.path = request.path;
    if (request.path == "/caption") {
      if (drain_.refuses()) throw HttpError(503, "the server is shutting down");
      service_.require_room();
      // Chunks bring lines of their own, but no sensible client needs as much for them as for the picture.
      exchange.connection.allow(2 * options_.max_request_bytes + kMaxHeadBytes,
                                after(exchange.start, options_.request_timeout));
    }
  } catch (const HttpError& error) {
    if (error.status() != 404) exchange.path = request.path;
    exchange.refusal = error;
    exchange.close = has_body(request);
  }
  if (!exchange.close) return;
  request.headers.erase("Connection");
  request.set_header("Connection", "close");
}

void Http::add_routes() {
  Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Content-Security-Policy", kPagePolicy);
    response.set_content(page(), "text/html; charset=utf-8");
  });
  Get("/health", [this](const httplib::Request&, httplib::Response& response) {
    response.status = drain_.begun() ? 503 : 200;
    set_json(response, fmt::format(R"({{"status":"{}"}})", drain_.begun() ? "draining" : "ready"));
  });
  Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    const Load load{.connections = open_, .decoding = service_.decoding()};
    response.set_content(metrics_.text(service_.counts(), load), "text/plain; version=0.0.4; charset=utf-8");
  });
  Post("/caption", HandlerWithContentReader([this](const auto& request, auto& response, const auto& content) {
         answer_caption(request, response, content);
       }));
}

void Http::add_hooks() {
  set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
    if (!current->refusal) return HandlerResponse::Unhandled;
    set_error(response, current->refusal->status(), current->refusal->what());
    if (response.status == 405) response.set_header("Allow", current->path == "/caption" ? "POST" : "GET, HEAD");
    return HandlerResponse::Handled;
  });
  set_expect_100_continue_handler([](const httplib::Request&, httplib::Response& response) {
    if (!current->refusal) return 100;
    set_error(response, current->refusal->status(), current->refusal->what());
    return response.status;
  });
  // Errors that httplib finds itself have no text yet.
  set_error_handler(HandlerWithResponse([this](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) return HandlerResponse::Handled;
    current->close = true;
    if (current->connection.failure() != Connection::Failure::kNone) {
      const HttpError error = incomplete(current->connection, options_.max_request_bytes);
      set_error(response, error.status() == 413 ? 431 : error.status(),
                error.status() == 413 ? "the head of the request is too large" : error.what());
    } else {
      set_error(response, response.status, "the request cannot be read");
    }
    return HandlerResponse::Handled;
  }));
  // The last word before an answer is written.
  set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
    current->status = response.status;
    if (current->connection.failure() == Connection::Failure::kClosed)
      metrics_.count_aborted();
    else
      metrics_.count(current->path, response.status, milliseconds_since(current->start) / 1000);
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Cache-Control", "no-store");
    if (!drain_.begun() && !current->close) return;
    response.headers.erase("Keep-Alive");
    response.headers.erase("Connection");
    response.set_header("Connection", "close");
  });
  if (options_.access_log)
    set_logger([](const httplib::Request& request, const httplib::Response& response) {
      log_info(fmt::format("{} {} {} {} {:.1f} ms", request.remote_addr, request.method, current->path, response.status,
                           milliseconds_since(current->start)));
    });
}

void Http::answer_caption(const httplib::Request& request, httplib::Response& response,
                          const httplib::ContentReader& content) {
  try {
    caption(request, response, content);
  } catch (const HttpError& error) {
    set_error(response, error.status(), error.what());
  } catch (const DataError& error) {
    set_error(response, 422, error.what());
  } catch (const std::bad_alloc&) {
    log_error("out of memory for a request; lower max_pixels, max_request_bytes or threads");
    set_error(response, 503, "out of memory");
  } catch (const std::exception& error) {
    log_error(fmt::format("a request failed: {}", error.what()));
    set_error(response, 500, "the caption could not be drawn");
  }
}

void Http::caption(const httplib::Request& request, httplib::Response& response,
                   const httplib::ContentReader& content) {
  PictureRequest picture;
  current->close = true;  // until the whole body is here
  if (!read_picture_request(request, content, options_.max_request_bytes, service_.alternatives(), picture))
    throw incomplete(current->connection, options_.max_request_bytes);
  current->close = false;
  const auto captions = service_.caption(std::move(picture.bytes), std::move(picture.name),
                                         after(current->start, options_.request_timeout));
  response.status = 200;
  set_json(response, format_captions(captions, picture.alternatives, milliseconds_since(current->start)));
}

}  // namespace capstan::serve
