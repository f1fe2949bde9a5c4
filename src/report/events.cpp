#include "capstan/report/events.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <protozero/pbf_writer.hpp>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "report/crc32c.h"

namespace capstan {
namespace {

using protozero::pbf_writer;

// Field numbers of event.proto, summary.proto, tensor.proto and tensor_shape.proto.
namespace event {
enum { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
}
namespace session_log {
enum { kStatus = 1 };
enum { kStart = 1 };
}  // namespace session_log
namespace summary {
enum { kValue = 1 };
}
namespace value {
enum { kTag = 1, kSimpleValue = 2, kImage = 4, kTensor = 8, kMetadata = 9 };
}
namespace picture {
enum { kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4 };
enum { kRgb = 3 };
}  // namespace picture
namespace metadata {
enum { kPluginData = 1, kPluginName = 1 };
}
namespace tensor {
enum { kDtype = 1, kShape = 2, kStringVal = 8 };
enum { kString = 7 };
}  // namespace tensor
namespace shape {
enum { kDim = 2, kSize = 1 };
}

constexpr std::string_view kFilePrefix = "events.out.tfevents.";
constexpr std::size_t kMaxPending = 64u << 20;  // of a disk that stays full

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// TensorBoard reads the files of a folder by name and never goes back, so the name must come after all that are
// there, also when a try began in the same second or the clock was set back.
std::int64_t seconds_for_name(const std::filesystem::path& directory) {
  auto seconds = static_cast<std::int64_t>(wall_time());
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kFilePrefix)) continue;
    std::int64_t found = 0;
    const char* first = name.data() + kFilePrefix.size();
    if (std::from_chars(first, name.data() + name.size(), found).ec == std::errc() && found < 9'999'999'999)
      seconds = std::max(seconds, found + 1);
  }
  return seconds;
}

std::string file_name(const std::filesystem::path& directory) {
  static std::atomic<int> number{0};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') std::strcpy(host.data(), "localhost");
  return fmt::format("{}{:010}.{}.{}.{}", kFilePrefix, seconds_for_name(directory), host.data(), ::getpid(), number++);
}

void append_little_endian(std::string& to, std::uint64_t number, int bytes) {
  for (int byte = 0; byte < bytes; ++byte) to += static_cast<char>(number >> (8 * byte) & 0xFF);
}

// Calls `fill` on the one Summary.Value of a new event.
template <class Fill>
std::string summary_event(std::string_view tag, std::int64_t step, const Fill& fill) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_double(event::kWallTime, wall_time());
  out.add_int64(event::kStep, step);
  pbf_writer summary_out(out, event::kSummary);
  pbf_writer value_out(summary_out, summary::kValue);
  value_out.add_string(value::kTag, tag.data(), tag.size());
  fill(value_out);
  value_out.commit();
  summary_out.commit();
  return bytes;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& directory, std::int64_t steps_done) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw DataError(fmt::format("{}: cannot create the folder: {}", directory.string(), error.message()));
  path_ = directory / file_name(directory);
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file_ < 0) throw DataError(fmt::format("{}: cannot open for writing: {}", path_.string(), std::strerror(errno)));
  std::string bytes;
  pbf_writer out(bytes);
  out.add_double(event::kWallTime, wall_time());
  out.add_string(event::kFileVersion, "brain.Event:2");
  append(bytes);
  go_on_after(steps_done);
  try {
    flush();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

EventWriter::~EventWriter() {
  try {
    flush();
  } catch (const std::exception& error) {
    log_warning(error.what());
  }
  ::close(file_);
}

void EventWriter::scalar(std::string_view tag, std::int64_t step, double number) {
  append(summary_event(tag, step,
                       [&](pbf_writer& out) { out.add_float(value::kSimpleValue, static_cast<float>(number)); }));
}

void EventWriter::image(std::string_view tag, std::int64_t step, int height, int width, std::string_view encoded) {
  append(summary_event(tag, step, [&](pbf_writer& out) {
    pbf_writer image_out(out, value::kImage);
    image_out.add_int32(picture::kHeight, height);
    image_out.add_int32(picture::kWidth, width);
    image_out.add_int32(picture::kColorspace, picture::kRgb);
    image_out.add_bytes(picture::kEncoded, encoded.data(), encoded.size());
  }));
}

// A tensor of one string, marked for the text plug-in, which renders it as Markdown.
void EventWriter::text(std::string_view tag, std::int64_t step, std::string_view markdown) {
  append(summary_event(tag, step, [&](pbf_writer& out) {
    {
      pbf_writer tensor_out(out, value::kTensor);
      tensor_out.add_enum(tensor::kDtype, tensor::kString);
      {
        pbf_writer shape_out(tensor_out, tensor::kShape);
        pbf_writer dim_out(shape_out, shape::kDim);
        dim_out.add_int64(shape::kSize, 1);
      }
      tensor_out.add_bytes(tensor::kStringVal, markdown.data(), markdown.size());
    }
    pbf_writer metadata_out(out, value::kMetadata);
    pbf_writer plugin_out(metadata_out, metadata::kPluginData);
    plugin_out.add_string(metadata::kPluginName, "text");
  }));
}

void EventWriter::go_on_after(std::int64_t steps_done) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_double(event::kWallTime, wall_time());
  out.add_int64(event::kStep, steps_done > 0 ? steps_done + 1 : 0);
  {
    pbf_writer log_out(out, event::kSessionLog);
    log_out.add_enum(session_log::kStatus, session_log::kStart);
  }
  append(bytes);
}

// A TFRecord: length and data, each followed by its checksum.
void EventWriter::append(std::string_view event_bytes) {
  std::string length;
  append_little_endian(length, event_bytes.size(), 8);
  pending_ += length;
  append_little_endian(pending_, report::masked_crc32c(length), 4);
  pending_ += event_bytes;
  append_little_endian(pending_, report::masked_crc32c(event_bytes), 4);
}

void EventWriter::flush() {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t wrote = ::write(file_, pending_.data() + done, pending_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const int code = errno;
      // A torn record in the middle would hide all that comes after it.
      if (::ftruncate(file_, written_) == 0) ::lseek(file_, written_, SEEK_SET);
      if (pending_.size() > kMaxPending) pending_.clear();
      throw DataError(fmt::format("{}: cannot write: {}", path_.string(), std::strerror(code)));
    }
    done += static_cast<std::size_t>(wrote);
  }
  written_ += static_cast<std::int64_t>(done);
  pending_.clear();
}

}  // namespace capstan
