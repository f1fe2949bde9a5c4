#include "serve/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "capstan/core/strings.h"
#include "serve/picture_request.h"

namespace capstan::serve {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Two lengths, or a length and chunks, are how requests are smuggled past a proxy.
void check_framing(const httplib::Request& request, std::int64_t max_bytes) {
  const std::size_t lengths = request.get_header_value_count("Content-Length");
  const std::size_t encodings = request.get_header_value_count("Transfer-Encoding");
  if (lengths + encodings > 1) throw HttpError(400, "the length of the body is given more than once");
  if (encodings == 1 && to_lower_ascii(request.get_header_value("Transfer-Encoding")) != "chunked")
    throw HttpError(400, "Transfer-Encoding is not 'chunked'");
  if (lengths == 0) return;
  const std::string length = request.get_header_value("Content-Length");
  if (!is_number(length)) throw HttpError(400, "Content-Length is no number");
  if (std::stoll(length) > max_bytes) throw request_too_large(max_bytes);
}

}  // namespace

void set_json(httplib::Response& response, const std::string& text) {
  response.set_content(text + "\n", "application/json");
}

void set_error(httplib::Response& response, int status, const std::string& text) {
  response.status = status;
  if (status == 503) response.set_header("Retry-After", "1");
  const nlohmann::ordered_json answer{{"error", text}, {"status", status}};
  set_json(response, answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

bool has_body(const httplib::Request& request) {
  return request.has_header("Transfer-Encoding") ||
         (request.has_header("Content-Length") && request.get_header_value("Content-Length") != "0");
}

void check_head(httplib::Request& request, std::int64_t max_bytes) {
  request.ranges.clear();
  request.headers.erase("Accept-Encoding");
  const bool is_caption = request.path == "/caption";
  if (!is_caption && request.path != "/" && request.path != "/health" && request.path != "/metrics")
    throw HttpError(404, "there is nothing here; known: /, /health, /metrics and POST /caption");
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (is_caption ? request.method != "POST" : !reads)
    throw HttpError(405, fmt::format("{} answers {} only", request.path, is_caption ? "POST" : "GET"));
  check_framing(request, max_bytes);
  if (!is_caption) {
    if (has_body(request)) throw HttpError(400, "a GET request has no body");
    return;
  }
  if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding"))
    throw HttpError(411, "the request has neither Content-Length nor chunks");
  body_kind(request);
}

}  // namespace capstan::serve
