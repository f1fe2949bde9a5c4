// The server with clients that are polite, wrong, slow or gone. Everything that a Python client can say is in
// tests/e2e/test_serve.py.
#include "capstan/serve/server.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "capstan/core/error.h"
#include "unit/serve/client.h"

using namespace capstan;
using namespace capstan::testing;

namespace {

nlohmann::json body_of(const std::string& answer) {
  return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
}

}  // namespace

TEST_CASE("a server answers with the caption that the captioner draws", "[serve][unit]") {
  RunningServer running;
  Captioner alone(running.folder(), {.device = "cpu"});
  Client client(running.port());
  for (const int shade : {3, 5, 11}) {
    const std::string jpeg = tiny_jpeg(shade);
    const Image image = decode_image(std::as_bytes(std::span(jpeg)), "tiny");
    const std::string answer = client.ask(post("image/jpeg", jpeg));
    REQUIRE(answer.starts_with("HTTP/1.1 200 "));
    REQUIRE(body_of(answer)["caption"] == alone.caption(image));
    REQUIRE(body_of(answer)["captions"].size() == 1);
  }
}

TEST_CASE("a port that is taken is refused with its number", "[serve][unit]") {
  RunningServer running;
  const auto captioner = std::make_shared<Captioner>(running.folder(), CaptionerOptions{.device = "cpu"});
  REQUIRE_THROWS_WITH(Server(captioner, {.port = running.port()}),
                      ContainsSubstring("cannot listen on 127.0.0.1 port " + std::to_string(running.port())));
  REQUIRE_THROWS_AS(Server(captioner, {.host = "192.0.2.1", .port = 0}), ConfigError);
}

TEST_CASE("heads that make no sense are refused and close the connection", "[serve][unit]") {
  RunningServer running;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"nonsense\r\n\r\n", "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\n\r\n", "411"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nTransfer-Encoding: gzip\r\n\r\n", "400"},
      {"POST /caption HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 17000000\r\n\r\n", "413"},
      {"GET /health HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "400"},
      {"GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n", "431"},
  };
  for (const auto& [request, status] : cases) {
    Client client(running.port());
    const std::string answer = client.ask(request);
    INFO(request.substr(0, 200) << "\n" << answer);
    REQUIRE(answer.starts_with("HTTP/1.1 " + status + " "));
    REQUIRE(body_of(answer)["status"] == std::stoi(status));
    if (status != "411") REQUIRE(client.receive().empty());  // the end of the connection
  }
}

TEST_CASE("requests that come together on one connection are answered in turn", "[serve][unit]") {
  RunningServer running;
  Client client(running.port());
  const std::string jpeg = tiny_jpeg(7);
  client.send(post("image/jpeg", jpeg) + "GET /health HTTP/1.1\r\n\r\n" + post("image/jpeg", jpeg));
  const auto first = body_of(client.receive())["caption"];
  REQUIRE(body_of(client.receive())["status"] == "ready");
  REQUIRE(body_of(client.receive())["caption"] == first);
}

TEST_CASE("a client that sends a byte now and then loses its connection", "[serve][unit]") {
  RunningServer running({.request_timeout = 0.4});
  Client client(running.port());
  const auto start = std::chrono::steady_clock::now();
  client.send("POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n");
  for (int i = 0; i < 8; ++i) {
    client.send("x");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  REQUIRE(client.receive().starts_with("HTTP/1.1 408 "));
  REQUIRE(std::chrono::steady_clock::now() - start < std::chrono::seconds(4));
}

TEST_CASE("more connections than allowed are told so, and later ones are served", "[serve][unit]") {
  RunningServer running({.max_connections = 2});
  {
    Client first(running.port());
    Client second(running.port());
    REQUIRE(first.ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    REQUIRE(second.ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    Client third(running.port());
    const std::string answer = third.ask("GET /health HTTP/1.1\r\n\r\n");
    REQUIRE(answer.starts_with("HTTP/1.1 503 "));
    REQUIRE(answer.find("Retry-After: 1") != std::string::npos);
  }
  for (int attempt = 0;; ++attempt) {
    Client again(running.port());
    if (again.ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ")) break;
    REQUIRE(attempt < 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST_CASE("a server that stops answers what is under way and takes nothing new", "[serve][unit]") {
  RunningServer running;
  const std::string request = post("image/jpeg", tiny_jpeg(9));
  Client uploading(running.port());
  Client idle(running.port());
  uploading.send(request.substr(0, request.size() / 2));
  REQUIRE(idle.ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
  running.stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(450));
  REQUIRE_FALSE(Client(running.port()).connected());
  const std::string health = idle.ask("GET /health HTTP/1.1\r\n\r\n");
  REQUIRE(health.starts_with("HTTP/1.1 503 "));
  REQUIRE(body_of(health)["status"] == "draining");
  REQUIRE(health.find("Connection: close") != std::string::npos);
  uploading.send(request.substr(request.size() / 2));
  const std::string answer = uploading.receive();
  REQUIRE(answer.starts_with("HTTP/1.1 200 "));
  REQUIRE(answer.find("Connection: close") != std::string::npos);
  running.join();
}

TEST_CASE("a caption asked of a server that stops is refused after a moment", "[serve][unit]") {
  RunningServer running;
  Client client(running.port());
  REQUIRE(client.ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
  running.stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const std::string answer = client.ask(post("image/jpeg", tiny_jpeg(9)));
  REQUIRE(answer.starts_with("HTTP/1.1 503 "));
  REQUIRE_THAT(answer, ContainsSubstring("shutting down") && ContainsSubstring("Retry-After: 1"));
}
