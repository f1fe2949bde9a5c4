#include "hub/retry.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "capstan/hub/names.h"

namespace capstan::hub {
namespace {

constexpr std::size_t kMaxText = std::size_t{64} << 20;
constexpr double kLongestPause = 60, kLongestWait = 300;

// "" when the request got an answer that stands, else what went wrong.
std::string perform(Request& request, std::string& body) {
  for (;;) {
    body.clear();
    const CURLcode code = curl_easy_perform(request.handle());
    throw_if_stopped();
    request.rethrow();
    if (code != CURLE_OK) {
      if (is_transient(code)) return request.describe(code);
      throw DataError(fmt::format("{}: {}", public_url(request.url()), request.describe(code)));
    }
    if (is_transient(request.status())) return fmt::format("the server answered {}", request.status());
    if (!request.follow_redirect()) return "";
  }
}

}  // namespace

double pause_after(int failures, double retry_after, const Retry& retry) {
  if (retry_after > kLongestWait)
    throw DataError(
        fmt::format("the server asks to come back in {}; run the same command then", human_duration(retry_after)));
  static thread_local std::minstd_rand generator(std::random_device{}());
  const double full = std::min(kLongestPause, retry.first_pause * std::pow(2.0, failures - 1));
  return std::max(retry_after, full * std::uniform_real_distribution<double>(0.5, 1.0)(generator));
}

void sleep_for(double seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < until && !stop_requested())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void throw_if_stopped() {
  if (stop_requested()) throw DataError("stopped; what was downloaded is kept, and the same command goes on with it");
}

Answer get_text(const Access& access, const Retry& retry, const std::string& url) {
  // The first contact of a run: an address that does not exist should be said soon.
  const int retries = std::min(retry.retries, 3);
  for (int failures = 0;;) {
    Request request(access);
    std::string body;
    request.get(url, {"Accept: application/json"}, [&](std::string_view bytes) {
      if (body.size() + bytes.size() > kMaxText)
        throw DataError(fmt::format("{}: the answer has more than {}", public_url(url), human_bytes(kMaxText)));
      body += bytes;
    });
    const std::string problem = perform(request, body);
    if (problem.empty())
      return {request.url(), request.status(), request.headers(), body.empty() ? request.error_body() : body};
    if (++failures > retries)
      throw DataError(fmt::format("{}: {}, after {} tries", public_url(url), problem, failures));
    const double pause = pause_after(failures, request.retry_after(), retry);
    log_warning(fmt::format("{}: {}; trying again in {}", public_url(url), problem, human_duration(pause)));
    sleep_for(pause);
  }
}

Answer get_headers(const Access& access, const Retry& retry, const std::string& url) {
  for (int failures = 0;;) {
    Request request(access);
    request.head(url);
    for (;;) {
      const CURLcode code = curl_easy_perform(request.handle());
      throw_if_stopped();
      if (code == CURLE_OK && !is_transient(request.status())) {
        Answer answer{request.url(), request.status(), request.all_headers(), ""};
        for (const char* const name : {"content-length", "etag"})  // of a redirect they tell about the redirect
          if (answer.status == 200 && request.headers().contains(name)) answer.headers[name] = request.header(name);
        const bool away = request.follow_redirect() && origin_of(request.url()) != origin_of(url);
        if (away || request.status() != 0) return answer;
        continue;
      }
      const std::string problem =
          code == CURLE_OK ? fmt::format("the server answered {}", request.status()) : request.describe(code);
      if ((code != CURLE_OK && !is_transient(code)) || ++failures > retry.retries)
        throw DataError(fmt::format("{}: {}", public_url(url), problem));
      sleep_for(pause_after(failures, request.retry_after(), retry));
      break;
    }
  }
}

std::string explain_refusal(const Access& access, const std::string& subject, const std::string& page,
                            const Answer& answer) {
  const auto header = [&](const char* name) {
    const auto found = answer.headers.find(name);
    return found == answer.headers.end() ? std::string() : printable(found->second);
  };
  const std::string said = header("x-error-message");
  const std::string quoted = said.empty() ? "" : fmt::format(" The server says: {}", said);
  const std::string begin = fmt::format("{}: {} answered {}. ", subject, public_url(answer.url), answer.status);
  const bool has_token = !access.token.empty();
  const bool ours = origin_of(answer.url) == origin_of(access.endpoint) && !page.empty();
  const std::string how = fmt::format("put a token (made at {}/settings/tokens) into HF_TOKEN", access.endpoint);
  if (ours && header("x-error-code") == "GatedRepo")
    return begin +
           fmt::format("Its owner grants access on request: ask at {}{}", page,
                       has_token ? fmt::format(", with the account of the token in {}", access.token_source)
                                 : ", then " + how) +
           "." + quoted;
  if (ours && answer.status == 401)
    return begin +
           (has_token ? fmt::format("It does not exist, or the token in {} is not valid or may not see it.",
                                    access.token_source)
                      : fmt::format("It does not exist, or is private; for a private one, {}.", how)) +
           quoted;
  if (ours && answer.status == 403)
    return begin +
           (has_token ? fmt::format("The token in {} may not read it; ask at {}.", access.token_source, page)
                      : fmt::format("It needs a token; {}.", how)) +
           quoted;
  if (answer.status == 404) return begin + "It is not there." + quoted;
  return begin + "That is no answer a download can start from." + quoted;
}

}  // namespace capstan::hub
