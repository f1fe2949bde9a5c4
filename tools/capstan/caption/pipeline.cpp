#include "caption/pipeline.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <new>
#include <span>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/core/signals.h"
#include "caption/bounded_queue.h"

namespace capstan::cli {
namespace {

using Captions = std::vector<Caption>;

// How long a stop signal may go unnoticed.
constexpr std::chrono::milliseconds kLook{100};

struct Item {
  explicit Item(Input from) : input(std::move(from)) {}
  Input input;
  std::promise<std::future<Captions>> decoded;  // from a decoder: what the stream promises, or why it could not be read
  std::future<std::future<Captions>> promised = decoded.get_future();
};

std::exception_ptr not_begun() { return std::make_exception_ptr(StoppedError("stopped before this picture")); }

class Pipeline {
 public:
  Pipeline(std::shared_ptr<Captioner> captioner, const PipelineOptions& options)
      : captioner_(std::move(captioner)),
        options_(options),
        batch_size_(options.batch_size > 0 ? options.batch_size : captioner_->auto_batch_size()),
        stream_(captioner_, {.batch_size = batch_size_, .max_waiting = 2 * batch_size_}),
        in_order_(window()),
        undecoded_(window()) {}

  ~Pipeline() {
    stop();
    for (std::thread& thread : threads_) thread.join();
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void run(const std::function<void(const InputSink&)>& list, const std::function<bool(Result)>& give) {
    threads_.emplace_back([this, &list] { take_inputs(list); });
    for (int i = 0; i < options_.num_decoders; ++i) threads_.emplace_back([this] { decode_inputs(); });
    while (!in_order_.ended()) {
      look_for_signal();
      const auto item = in_order_.pop_for(kLook);
      if (!item) continue;
      auto result = result_of(**item);
      if (!result || !give(std::move(*result))) return;
    }
  }

 private:
  // Pictures between the list and the result: enough for all that are decoded, waiting and under way, and for some that
  // are done while an earlier one is not.
  std::size_t window() const { return static_cast<std::size_t>(4 * batch_size_ + 64); }

  void take_inputs(const std::function<void(const InputSink&)>& list) {
    const auto take = [this](Input input) {
      const auto item = std::make_shared<Item>(std::move(input));
      if (!in_order_.push(item)) return false;
      if (undecoded_.push(item)) return true;
      item->decoded.set_exception(not_begun());
      return false;
    };
    const InputSink sink{.take = take, .wanted = [this] { return !stopping_; }};
    try {
      list(sink);
    } catch (const std::exception& error) {
      take({.name = "list of pictures", .bytes = {}, .error = error.what()});
    }
    in_order_.close();
    undecoded_.close();
  }

  void decode_inputs() {
    while (const auto item = undecoded_.pop()) {
      try {
        (*item)->decoded.set_value(stopping_ ? std::future<Captions>() : stream_.submit(pixels((*item)->input)));
      } catch (...) {
        (*item)->decoded.set_exception(std::current_exception());
      }
    }
  }

  at::Tensor pixels(const Input& input) const {
    if (!input.error.empty()) throw DataError(input.error);
    const WantedSize wanted = captioner_->processor().wanted_size();
    if (input.bytes.empty()) return captioner_->pixels(read_image(input.name, options_.decode, wanted));
    const auto bytes = std::as_bytes(std::span(input.bytes));
    return captioner_->pixels(decode_image(bytes, "standard input", options_.decode, wanted));
  }

  // nullopt for a picture that the stop came before.
  std::optional<Result> result_of(Item& item) {
    Result result{.name = item.input.name, .captions = {}, .error = {}};
    try {
      std::future<Captions> captions = wait_for(item.promised);
      if (!captions.valid()) return std::nullopt;
      result.captions = wait_for(captions);
    } catch (const StoppedError&) {
      return std::nullopt;
    } catch (const std::bad_alloc&) {
      result.error = "not enough memory for this picture; a smaller batch_size needs less";
    } catch (const std::exception& error) {
      result.error = error.what();
    }
    if (!result.error.empty() && item.input.bytes.empty() && !result.error.starts_with(result.name))
      result.error = fmt::format("{}: {}", result.name, result.error);
    return result;
  }

  template <class T>
  T wait_for(std::future<T>& future) {
    while (future.wait_for(kLook) != std::future_status::ready) look_for_signal();
    return future.get();
  }

  void look_for_signal() {
    if (!stopping_ && stop_requested()) stop();
  }

  void stop() {
    stopping_ = true;
    in_order_.close();
    undecoded_.close();
    stream_.stop();
  }

  const std::shared_ptr<Captioner> captioner_;
  const PipelineOptions options_;
  const int batch_size_;
  CaptionStream stream_;
  BoundedQueue<std::shared_ptr<Item>> in_order_, undecoded_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

void caption_inputs(std::shared_ptr<Captioner> captioner, const PipelineOptions& options,
                    const std::function<void(const InputSink&)>& list, const std::function<bool(Result)>& give) {
  Pipeline(std::move(captioner), options).run(list, give);
}

}  // namespace capstan::cli
