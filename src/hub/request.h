// One HTTP request on libcurl: its options, its answer, and redirects taken one by one, so that the token is sent to
// the endpoint's own origin and nowhere else.
#pragma once
#include <curl/curl.h>

#include <array>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::hub {

// Who asks.
struct Access {
  std::string token;         // sent to `endpoint`'s origin only; empty: none
  std::string token_source;  // for messages
  std::string endpoint;      // "https://huggingface.co"
  double timeout = 60;       // seconds without a byte until a connection counts as cut
};

using Headers = std::map<std::string, std::string>;  // names in lower case

// "https://host:443" in lower case, or "" when it is no http(s) address.
std::string origin_of(const std::string& url);

// What is the same whether tried again or not, or may be better in a moment.
bool is_transient(CURLcode code);
bool is_transient(long status);

class Request {
 public:
  // Gets the body of a good answer (200, 206), piece by piece; may throw.
  using Sink = std::function<void(std::string_view)>;

  explicit Request(Access access);
  void get(const std::string& url, const std::vector<std::string>& headers, Sink sink);
  void head(const std::string& url);
  // After an answer. True when it sends us elsewhere, and the same request to there is now prepared.
  bool follow_redirect();

  CURL* handle() const { return handle_.get(); }
  long status() const { return status_; }
  const std::string& url() const { return url_; }
  const Headers& headers() const { return headers_; }          // of the last answer
  const Headers& all_headers() const { return all_headers_; }  // of all answers; the first that has a name counts
  std::string header(const std::string& name) const;
  const std::string& error_body() const { return error_body_; }  // of other answers, its beginning
  double retry_after() const;                                    // seconds the server asked for; 0: it did not
  std::string describe(CURLcode code) const;
  void rethrow();  // what the sink threw

 private:
  struct FreeHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
  void prepare(const std::string& url);
  void set_headers();

  Access access_;
  std::unique_ptr<CURL, FreeHandle> handle_;
  std::unique_ptr<curl_slist, FreeList> list_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::string url_;
  std::vector<std::string> extra_;
  Sink sink_;
  int redirects_ = 0;
  long status_ = 0;
  Headers headers_, all_headers_;
  std::string error_body_;
  std::exception_ptr thrown_;
};

}  // namespace capstan::hub
