#include "hub/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "capstan/core/version.h"
#include "capstan/hub/names.h"

namespace capstan::hub {
namespace {

constexpr int kMaxRedirects = 10;
constexpr std::size_t kMaxErrorBody = std::size_t{1} << 14;

CURL* new_handle() {
  static std::once_flag once;
  std::call_once(once, [] { CAPSTAN_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
  CURL* const handle = curl_easy_init();
  CAPSTAN_ASSERT(handle != nullptr);
  return handle;
}

std::string url_part(CURLU* parsed, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(parsed, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK || text == nullptr) return "";
  std::string copy(text);
  curl_free(text);
  return to_lower_ascii(copy);
}

}  // namespace

std::string origin_of(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  const std::string scheme = url_part(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "";
  return scheme + "://" + url_part(parsed.get(), CURLUPART_HOST) + ":" + url_part(parsed.get(), CURLUPART_PORT);
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY:
      return true;
    default:
      return false;
  }
}

bool is_transient(long status) { return status == 408 || status == 425 || status == 429 || status / 100 == 5; }

Request::Request(Access access) : access_(std::move(access)), handle_(new_handle()) {}

void Request::get(const std::string& url, const std::vector<std::string>& headers, Sink sink) {
  curl_easy_reset(handle());
  extra_ = headers;
  sink_ = std::move(sink);
  redirects_ = 0;
  all_headers_.clear();
  prepare(url);
}

void Request::head(const std::string& url) {
  get(url, {}, nullptr);
  curl_easy_setopt(handle(), CURLOPT_NOBODY, 1L);
}

void Request::prepare(const std::string& url) {
  url_ = url;
  status_ = 0;
  headers_.clear();
  error_body_.clear();
  thrown_ = nullptr;
  error_text_[0] = '\0';
  CURL* const curl = handle();
  curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // what a proxy says is not the answer
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(1000 * access_.timeout));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(access_.timeout)));
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Request::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Request::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Request::on_progress);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  set_headers();
}

void Request::set_headers() {
  list_.reset();
  const auto add = [&](const std::string& line) {
    curl_slist* const longer = curl_slist_append(list_.get(), line.c_str());
    CAPSTAN_ASSERT(longer != nullptr);
    (void)list_.release();
    list_.reset(longer);
  };
  add("User-Agent: capstan/" + version());
  add("Accept-Encoding: identity");  // positions count bytes of the file, not of a compressed stream
  for (const auto& line : extra_) add(line);
  const std::string origin = origin_of(url_);
  if (!access_.token.empty() && !origin.empty() && origin == origin_of(access_.endpoint))
    add("Authorization: Bearer " + access_.token);
  curl_easy_setopt(handle(), CURLOPT_HTTPHEADER, list_.get());
}

bool Request::follow_redirect() {
  if (status_ != 301 && status_ != 302 && status_ != 303 && status_ != 307 && status_ != 308) return false;
  char* target = nullptr;
  curl_easy_getinfo(handle(), CURLINFO_REDIRECT_URL, &target);
  if (target == nullptr) return false;
  const std::string next(target), from = url_;
  if (++redirects_ > kMaxRedirects)
    throw DataError(fmt::format("{}: sent on more than {} times", public_url(from), kMaxRedirects));
  if (origin_of(next).empty() || (from.starts_with("https://") && !next.starts_with("https://")))
    throw DataError(
        fmt::format("{}: sends us to {}, which is not as safe; expected https", public_url(from), public_url(next)));
  prepare(next);
  return true;
}

std::string Request::header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? "" : found->second;
}

double Request::retry_after() const {
  curl_off_t seconds = 0;
  curl_easy_getinfo(handle(), CURLINFO_RETRY_AFTER, &seconds);
  return static_cast<double>(seconds);
}

std::string Request::describe(CURLcode code) const {
  return printable(error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(code));
}

void Request::rethrow() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

// A status line begins a new answer: an interim one (100) or a proxy's may come before the real one.
std::size_t Request::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& request = *static_cast<Request*>(self);
  const std::string_view line = trim(std::string_view(data, size * count));
  const std::size_t colon = line.find(':');
  if (line.starts_with("HTTP/")) {
    request.headers_.clear();
  } else if (colon != std::string_view::npos) {
    const std::string name = to_lower_ascii(line.substr(0, colon));
    const std::string value(trim(line.substr(colon + 1)));
    request.headers_[name] = value;
    request.all_headers_.emplace(name, value);
  }
  curl_easy_getinfo(request.handle(), CURLINFO_RESPONSE_CODE, &request.status_);
  return size * count;
}

std::size_t Request::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& request = *static_cast<Request*>(self);
  const std::string_view bytes(data, size * count);
  try {
    if (request.sink_ && (request.status_ == 200 || request.status_ == 206))
      request.sink_(bytes);
    else if (request.error_body_.size() < kMaxErrorBody)
      request.error_body_ += bytes.substr(0, kMaxErrorBody - request.error_body_.size());
  } catch (...) {  // may not cross C code
    request.thrown_ = std::current_exception();
    return 0;
  }
  return bytes.size();
}

int Request::on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return stop_requested() ? 1 : 0; }

}  // namespace capstan::hub
