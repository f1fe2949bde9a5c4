#include "capstan/core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>

#include "capstan/core/strings.h"

namespace capstan {

using Clock = std::chrono::steady_clock;

struct Progress::State {
  std::string label, unit, note;
  std::int64_t total = 0, start = 0, done = 0;
  Clock::time_point begin = Clock::now(), last_draw{};
  bool visible = false, drawn = false;
  mutable std::mutex mutex;

  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin).count(); }
  double rate() const {
    const double elapsed = seconds();
    return elapsed > 0 ? static_cast<double>(done - start) / elapsed : 0;
  }
  double seconds_left() const {
    const double speed = rate();
    return total > 0 && speed > 0 ? static_cast<double>(total - done) / speed : 0;
  }
  void write(const std::string& text) const {
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
  }
  void draw() {
    std::string line = fmt::format("\r\033[K{}  {}", label, human_count(static_cast<double>(done)));
    if (total > 0) {
      line += fmt::format("/{} {}  {:.0f} %", human_count(static_cast<double>(total)), unit,
                          100.0 * static_cast<double>(done) / static_cast<double>(total));
    } else {
      line += " " + unit;
    }
    line += fmt::format("  {:.1f} {}/s", rate(), unit);
    if (total > 0) line += "  " + human_duration(seconds_left()) + " left";
    if (!note.empty()) line += "  " + note;
    write(line);
    drawn = true;
    last_draw = Clock::now();
  }
  void clear() {
    if (drawn) write("\r\033[K");
    drawn = false;
  }
};

Progress::Progress(std::string_view label, std::int64_t total, std::string_view unit, std::int64_t start)
    : state_(std::make_unique<State>()) {
  state_->label = label;
  state_->unit = unit;
  state_->total = total;
  state_->start = state_->done = start;
  state_->visible = progress_visible();
}

Progress::~Progress() { finish(); }

void Progress::advance(std::int64_t count) {
  const std::lock_guard lock(state_->mutex);
  state_->done += count;
  if (!state_->visible) return;
  if (Clock::now() - state_->last_draw > std::chrono::milliseconds(100)) state_->draw();
}

void Progress::set_note(std::string note) {
  const std::lock_guard lock(state_->mutex);
  state_->note = std::move(note);
}

void Progress::pause() {
  const std::lock_guard lock(state_->mutex);
  state_->clear();
}

void Progress::finish() { pause(); }

double Progress::seconds() const { return state_->seconds(); }

double Progress::rate() const {
  const std::lock_guard lock(state_->mutex);
  return state_->rate();
}

double Progress::seconds_left() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seconds_left();
}

bool progress_visible() {
  if (const char* forced = std::getenv("CAPSTAN_PROGRESS")) return std::string_view(forced) == "1";
  return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace capstan
