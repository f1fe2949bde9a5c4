// A queue, one thread that draws captions, and a promise for each picture.
#include "capstan/generate/stream.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "generate/batching.h"

namespace capstan {
namespace {

using Promise = std::promise<std::vector<Caption>>;

struct Job {
  at::Tensor pixels_1CHW;
  Promise captions;
};

std::exception_ptr stopped() {
  return std::make_exception_ptr(StoppedError("no caption: captioning was stopped before this picture's turn"));
}

}  // namespace

struct CaptionStream::State {
  std::shared_ptr<Captioner> captioner;
  int most = 0;
  std::size_t max_waiting = 0;

  mutable std::mutex mutex;
  std::condition_variable arrived, left;
  std::deque<Job> waiting;  // by mutex, as the next three
  Counts counts;
  bool closing = false;  // no more will come
  bool refusing = false;

  // Of the thread.
  std::unique_ptr<Generator> generator;
  std::unordered_map<std::uint64_t, Promise> running;
  std::uint64_t next_ticket = 0;
  std::thread thread;

  void run() {
    const c10::InferenceMode no_gradients;
    for (;;) {
      std::vector<Job> jobs = take();
      if (jobs.empty() && running.empty()) return;
      if (!jobs.empty()) begin(jobs);
      if (!running.empty()) step();
    }
  }

  // Pictures that join now; waits where nothing else is to be done. None, with none running: the end.
  std::vector<Job> take() {
    std::unique_lock lock(mutex);
    if (running.empty()) arrived.wait(lock, [&] { return closing || !waiting.empty(); });
    const std::int64_t room = generator ? generator->room() : most;
    std::vector<Job> jobs;
    for (auto count = pictures_to_add(most, room, static_cast<std::int64_t>(waiting.size())); count > 0; --count) {
      jobs.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    lock.unlock();
    if (!jobs.empty()) left.notify_all();
    return jobs;
  }

  // Where several cannot be encoded, each is tried alone, so that only those that are to blame have no captions.
  void begin(std::span<Job> jobs) {
    try {
      std::vector<at::Tensor> pixels;
      std::vector<std::uint64_t> tickets;
      for (const Job& job : jobs) {
        pixels.push_back(job.pixels_1CHW);
        tickets.push_back(next_ticket++);
      }
      if (!generator) generator = captioner->generator(most);
      generator->add(at::cat(pixels), tickets);
      for (std::size_t i = 0; i < jobs.size(); ++i) running.emplace(tickets[i], std::move(jobs[i].captions));
      const std::lock_guard lock(mutex);
      counts.running = running.size();
    } catch (...) {
      if (jobs.size() == 1) return fail(jobs.front().captions, std::current_exception());
      for (Job& job : jobs) begin({&job, 1});
    }
  }

  void step() {
    const auto texts = static_cast<std::uint64_t>(captioner->generation().texts_per_picture()) * running.size();
    std::vector<Finished> all;
    try {
      all = generator->step();
    } catch (...) {
      // Nobody knows what state the searches are in: all of them have failed, and the next ones get a new generator.
      for (auto& [ticket, captions] : running) fail(captions, std::current_exception());
      running.clear();
      generator.reset();
    }
    {
      const std::lock_guard lock(mutex);
      ++counts.steps;
      counts.rows += texts;
      counts.running = running.size() - all.size();  // who gets a caption no longer sees it counted
    }
    for (const Finished& finished : all) deliver(finished);
  }

  void deliver(const Finished& finished) {
    const auto found = running.find(finished.ticket);
    CAPSTAN_ASSERT(found != running.end());
    Promise captions = std::move(found->second);
    running.erase(found);
    try {
      auto decoded = captioner->decoded(finished);
      count_finished();
      captions.set_value(std::move(decoded));
    } catch (...) {
      fail(captions, std::current_exception());
    }
  }

  void fail(Promise& captions, const std::exception_ptr& error) {
    count_finished();
    captions.set_exception(error);
  }

  // Before its future is ready, so that whoever has waited for it finds it counted.
  void count_finished() {
    const std::lock_guard lock(mutex);
    ++counts.finished;
  }
};

CaptionStream::CaptionStream(std::shared_ptr<Captioner> captioner, const CaptionStreamOptions& options)
    : state_(std::make_unique<State>()) {
  if (options.batch_size < 0 || options.max_waiting < 1)
    throw ConfigError(fmt::format("batch_size is {} and max_waiting {}; expected at least 0 and 1", options.batch_size,
                                  options.max_waiting));
  state_->captioner = std::move(captioner);
  state_->most = options.batch_size > 0 ? options.batch_size : state_->captioner->auto_batch_size();
  state_->max_waiting = static_cast<std::size_t>(options.max_waiting);
  {
    const c10::InferenceMode no_gradients;
    state_->generator = state_->captioner->generator(state_->most);
    CAPSTAN_ASSERT(state_->generator->room() >= 1);
  }
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

CaptionStream::~CaptionStream() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->arrived.notify_all();
  state_->thread.join();
}

std::future<std::vector<Caption>> CaptionStream::submit(at::Tensor pixel_values_1CHW) {
  Job job{.pixels_1CHW = std::move(pixel_values_1CHW), .captions = {}};
  auto captions = job.captions.get_future();
  const int size = state_->captioner->processor().config().size;
  std::exception_ptr refusal;
  if (!job.pixels_1CHW.defined() || job.pixels_1CHW.sizes() != at::IntArrayRef{1, 3, size, size})
    refusal =
        std::make_exception_ptr(DataError(fmt::format("expected one picture as Captioner::pixels makes it, a "
                                                      "tensor of 1 x 3 x {} x {}",
                                                      size, size)));
  std::unique_lock lock(state_->mutex);
  ++state_->counts.submitted;
  if (!refusal) {
    state_->left.wait(lock, [&] { return state_->waiting.size() < state_->max_waiting || state_->refusing; });
    if (state_->refusing) refusal = stopped();
  }
  if (refusal) {
    lock.unlock();
    state_->fail(job.captions, refusal);
    return captions;
  }
  state_->waiting.push_back(std::move(job));
  lock.unlock();
  state_->arrived.notify_one();
  return captions;
}

void CaptionStream::stop() {
  std::deque<Job> dropped;
  {
    const std::lock_guard lock(state_->mutex);
    state_->refusing = true;
    dropped.swap(state_->waiting);
  }
  state_->left.notify_all();
  for (Job& job : dropped) state_->fail(job.captions, stopped());
}

CaptionStream::Counts CaptionStream::counts() const {
  const std::lock_guard lock(state_->mutex);
  Counts counts = state_->counts;
  counts.waiting = state_->waiting.size();
  return counts;
}

int CaptionStream::batch_size() const { return state_->most; }

}  // namespace capstan
