// TensorBoard event files: TFRecords of Event messages, as tensorboard's own readers and its data server take them.
// Format: tensorboard/compat/proto/{event,summary,tensor}.proto and tensorflow's record_writer.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace capstan {

// One file, one thread. Records are kept until flush() and then handed to the system as a whole, so that a process that
// is killed leaves a file that can be read up to its last flush.
//   EventWriter events(run / "tensorboard", state.global_step);
//   events.scalar("train/loss", 100, 2.5);
//   events.flush();
class EventWriter {
 public:
  // A new file in `directory`, which is created where it is missing. The run goes on after `steps_done` steps (0: it
  // starts): see go_on_after. DataError when the file cannot be written.
  explicit EventWriter(const std::filesystem::path& directory, std::int64_t steps_done = 0);
  ~EventWriter();  // flushes; what cannot be written then is lost with a warning
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void scalar(std::string_view tag, std::int64_t step, double value);
  // `encoded` is a PNG or JPEG file; TensorBoard shows both.
  void image(std::string_view tag, std::int64_t step, int height, int width, std::string_view encoded);
  void text(std::string_view tag, std::int64_t step, std::string_view markdown);

  // TensorBoard drops the points after `steps_done` that an earlier try of this folder (or this one, before it was
  // rolled back) has written. Its readers keep steps below that of the START event only, so the event says
  // steps_done + 1; after 0 steps everything goes.
  void go_on_after(std::int64_t steps_done);

  // DataError when the disk is full, say. The file then ends with its last whole record, what was to be written is
  // kept for the next flush, and the writer can be used further.
  void flush();
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(std::string_view event);
  std::filesystem::path path_;
  int file_ = -1;
  std::int64_t written_ = 0;  // bytes of whole records in the file
  std::string pending_;
};

}  // namespace capstan
