#include "hub/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/hub/names.h"

namespace capstan::hub {
namespace {

constexpr std::uint64_t kMega = 1'000'000, kKilo = 1'000;

// The mark of a version that If-Range understands: a strong ETag, else the date of the last change.
std::string validator_of(const Request& request) {
  const std::string etag = request.header("etag");
  return etag.starts_with('"') ? etag : request.header("last-modified");
}

// Whether "bytes 100-199/200" begins at `offset` and is of a file of `size`.
bool continues(const std::string& content_range, std::uint64_t offset, std::optional<std::uint64_t> size) {
  if (!content_range.starts_with("bytes ")) return false;
  const char* at = content_range.data() + 6;
  const char* const end = content_range.data() + content_range.size();
  std::uint64_t first = 0, total = 0;
  const auto begin = std::from_chars(at, end, first);
  if (begin.ec != std::errc() || first != offset) return false;
  const std::size_t slash = content_range.find('/');
  if (slash == std::string::npos || !size) return true;
  const auto of = std::from_chars(content_range.data() + slash + 1, end, total);
  return of.ec != std::errc() || total == *size;  // "*": the server does not know
}

}  // namespace

Meter::Meter(std::uint64_t total)
    : unit_(total >= 10 * kMega ? kMega : kKilo),
      progress_("fetch", static_cast<std::int64_t>(total) / unit_, unit_ == kMega ? "MB" : "kB") {}

void Meter::add(std::int64_t bytes) {
  if (bytes > 0) received_ += static_cast<std::uint64_t>(bytes);
  pending_ += bytes;
  progress_.advance(pending_ / unit_);
  pending_ %= unit_;
}

void Meter::say(const std::string& warning) {
  progress_.pause();
  log_warning(warning);
}

Transfer::Transfer(const Download& what, const Access& access, const Retry& retry, Meter& meter)
    : what_(what), access_(access), retry_(retry), meter_(meter), request_(access) {}

Transfer::Next Transfer::begin() {
  if (!part_) {
    part_.emplace(what_.file, what_.size, what_.checksum);
    furthest_ = part_->bytes();
    if (part_->resumed()) log_info(fmt::format("{}: going on at {}", what_.name, human_bytes(part_->bytes())));
  }
  if (part_->whole()) {
    const Next next = place();
    if (next == Next::kDone) return next;
  }
  std::vector<std::string> headers;
  if (part_->bytes() > 0) {
    headers.push_back(fmt::format("Range: bytes={}-", part_->bytes()));
    if (!part_->validator().empty()) headers.push_back("If-Range: " + part_->validator());
  }
  answer_checked_ = wrong_range_ = false;
  request_.get(what_.url, headers, [this](std::string_view bytes) { on_bytes(bytes); });
  return Next::kGoOn;
}

void Transfer::restart() {
  meter_.add(-static_cast<std::int64_t>(part_->bytes()));
  part_->restart();
}

void Transfer::check_answer() {
  if (std::exchange(answer_checked_, true)) return;
  if (request_.status() == 200 && part_->bytes() > 0) restart();  // no ranges here, or another version by now
  if (request_.status() == 206 && !continues(request_.header("content-range"), part_->bytes(), part_->size())) {
    wrong_range_ = true;
    restart();
    return;
  }
  const std::string length = request_.header("content-length");
  if (request_.status() == 200 && part_->size() && !length.empty() && length != std::to_string(*part_->size()))
    throw DataError(fmt::format("{}: {} announces {} bytes, expected {}", what_.name, public_url(request_.url()),
                                printable(length), *part_->size()));
  const std::string validator = validator_of(request_);
  if (!validator.empty()) part_->set_validator(validator);
}

void Transfer::on_bytes(std::string_view bytes) {
  check_answer();
  if (wrong_range_) throw DataError("the server sent another range than the one asked for");
  part_->append(bytes);
  meter_.add(static_cast<std::int64_t>(bytes.size()));
}

Transfer::Next Transfer::place() {
  if (part_->place(what_.name + " from " + public_url(what_.url))) {
    part_.reset();  // hundreds of files would keep as many descriptors
    return Next::kDone;
  }
  meter_.add(-static_cast<std::int64_t>(part_->size().value_or(0)));
  meter_.say(
      fmt::format("{}: what an earlier run left does not fit the checksum; fetching all of it again", what_.name));
  ready_ = Clock::now();
  return Next::kWait;
}

Transfer::Next Transfer::end(CURLcode code) {
  throw_if_stopped();
  if (!wrong_range_) request_.rethrow();
  if (wrong_range_) return try_again("the server sent another range than the one asked for", 0);
  if (code != CURLE_OK) {
    if (is_transient(code)) return try_again(request_.describe(code), 0);
    throw DataError(fmt::format("{}: {}: {}", what_.name, public_url(request_.url()), request_.describe(code)));
  }
  if (request_.follow_redirect()) {
    answer_checked_ = false;
    return Next::kGoOn;
  }
  const long status = request_.status();
  if (is_transient(status)) return try_again(fmt::format("the server answered {}", status), request_.retry_after());
  if (status == 416 && part_->bytes() > 0) {
    if (request_.header("content-range") == fmt::format("bytes */{}", part_->bytes())) return place();  // whole before
    restart();
    return try_again("the server does not have that many bytes", 0);
  }
  if (status != 200 && status != 206)
    throw DataError(explain_refusal(access_, what_.name, what_.page,
                                    {request_.url(), status, request_.headers(), request_.error_body()}));
  check_answer();  // an empty body has no first byte
  if (part_->size() && !part_->whole())
    return try_again(fmt::format("the connection ended after {} of {} bytes", part_->bytes(), *part_->size()), 0);
  return place();
}

Transfer::Next Transfer::try_again(const std::string& problem, double retry_after) {
  if (part_->bytes() > furthest_) failures_ = 0;
  furthest_ = std::max(furthest_, part_->bytes());
  if (++failures_ > retry_.retries)
    throw DataError(
        fmt::format("{}: {}: {}, after {} tries without getting further; what is there is kept, and the "
                    "same command goes on with it",
                    what_.name, public_url(request_.url()), problem, failures_));
  const double pause = pause_after(failures_, retry_after, retry_);
  meter_.say(fmt::format("{}: {}; going on at {} in {}", what_.name, problem, human_bytes(part_->bytes()),
                         human_duration(pause)));
  ready_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause));
  return Next::kWait;
}

}  // namespace capstan::hub
