// Our side of tools/bench/generate. A process holds one model and answers each line of JSON with a line of JSON, so
// that several sides can take turns without loading anything again:
//   bench_generate captions MODEL DTYPE JOB.json   pictures of JOB's files to captions
//   bench_generate decoder MODEL DTYPE JOB.json    texts of a decoder alone
//   bench_generate machine JOB.json                what the machine can do at best (machine.h)
// JOB: {"files", "threads", "tokens"}. Requests: {"action": "prepare", "batch", "beams"}, {"action": "measure",
// "seconds"}, {"action": "captions", "files"}.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "capstan/core/files.h"
#include "capstan/generate/captioner.h"
#include "capstan/generate/encoder.h"
#include "capstan/image/decode.h"
#include "generate/logits_reader.h"
#include "generate/search.h"
#include "machine.h"

namespace {

using namespace capstan;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Adds the time of `work` to `seconds`.
template <class Work>
auto timed(double& seconds, Work&& work) {
  const auto begin = Clock::now();
  auto result = work();
  seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

struct Times {
  double preprocess = 0, encoder = 0, decode = 0, step = 0;  // step: the engine's part of decode
  std::int64_t steps = 0;
};

void force_length(GenerationConfig& config, int tokens, int beams) {
  config.max_length = config.min_length = 0;
  config.max_new_tokens = config.min_new_tokens = tokens;
  config.num_beams = beams;
}

// The loop of capstan::Generator with a clock around the engine; texts of a fixed length all end with the same step.
class Drawer {
 public:
  Drawer(Gpt2& decoder, const GenerationConfig& config, std::int64_t batch, const std::string& dtype)
      : plan_(config, decoder.config().vocab_size, decoder.config().n_positions, nullptr),
        reader_(plan_),
        engine_(make_engine(
            decoder,
            {.max_rows = batch * plan_.rows_per_picture(), .max_tokens = plan_.max_length() - 1, .dtype = dtype})) {}

  std::vector<Candidate> draw(const at::Tensor& hidden_BSD, Times& times) {
    const c10::InferenceMode no_gradients;
    const std::int64_t per_picture = plan_.rows_per_picture();
    engine_->add(hidden_BSD, per_picture);
    searches_.clear();
    for (std::int64_t i = 0; i < hidden_BSD.size(0); ++i) searches_.push_back(search::make_search(plan_, 0));
    for (; searches_.front()->num_rows() > 0; ++times.steps) {
      tokens_.clear();
      for (std::int64_t row = 0; row < engine_->rows(); ++row) tokens_.push_back(ids(row).back());
      const at::Tensor logits_RV = timed(times.step, [&] { return engine_->step(tokens_); });
      const auto outcomes = reader_.read(logits_RV, [this](std::int64_t row) { return ids(row); });
      at::parallel_for(0, hidden_BSD.size(0), 4, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          searches_[static_cast<std::size_t>(i)]->advance(
              outcomes.subspan(static_cast<std::size_t>(i * per_picture), static_cast<std::size_t>(per_picture)));
      });
      engine_->select(kept_rows());
    }
    std::vector<Candidate> best;
    for (const auto& search : searches_) best.push_back(search->finish().front());
    return best;
  }

 private:
  std::span<const std::int64_t> ids(std::int64_t row) const {
    const std::int64_t per_picture = plan_.rows_per_picture();
    return searches_[static_cast<std::size_t>(row / per_picture)]->ids(row % per_picture);
  }

  std::span<const std::int64_t> kept_rows() {
    kept_.clear();
    std::int64_t first = 0;
    for (const auto& search : searches_) {
      for (const std::int64_t parent : search->parents()) kept_.push_back(first + parent);
      first += plan_.rows_per_picture();
    }
    return kept_;
  }

  search::SearchPlan plan_;
  search::LogitsReader reader_;
  std::unique_ptr<DecodeEngine> engine_;
  std::vector<std::unique_ptr<search::Search>> searches_;
  std::vector<std::int64_t> tokens_, kept_;
};

class Side {
 public:
  explicit Side(const json& job) : files_(job["files"]), tokens_(job["tokens"]) {}
  virtual ~Side() = default;

  json answer(const json& request) {
    const std::string action = request["action"];
    if (action == "captions") return captions(request["files"]);
    if (action == "measure") return measure(request["seconds"]);
    batch_ = request["batch"];
    prepare(request["beams"]);
    Times ignored;
    draw(first_files(), ignored);
    return json::object();
  }

 protected:
  virtual void prepare(int beams) = 0;
  virtual std::vector<Candidate> draw(std::span<const std::string> files, Times& times) = 0;

  std::vector<std::string> files_;
  int tokens_;
  std::int64_t batch_ = 1;

 private:
  std::span<const std::string> first_files() const { return std::span(files_).first(static_cast<std::size_t>(batch_)); }

  // Calls until the time is over. Where several fit, the first is not counted: it finds caches full of other data.
  json measure(double seconds) {
    Times times;
    double elapsed = 0;
    timed(elapsed, [&] { return draw(first_files(), times); });
    int calls = 1;
    if (elapsed < seconds / 2) {
      times = {};
      calls = 0;
    }
    for (; elapsed < seconds; ++calls) timed(elapsed, [&] { return draw(first_files(), times); });
    return {{"calls", calls},           {"preprocess", times.preprocess},
            {"encoder", times.encoder}, {"decode", times.decode},
            {"step", times.step},       {"steps", times.steps}};
  }

  json captions(const std::vector<std::string>& files) {
    json rows = json::array();
    Times ignored;
    const std::span all(files);
    for (std::size_t i = 0; i < files.size(); i += static_cast<std::size_t>(batch_))
      for (const Candidate& candidate :
           draw(all.subspan(i, std::min(static_cast<std::size_t>(batch_), files.size() - i)), ignored))
        rows.push_back(candidate.ids);
    return {{"ids", rows}};
  }
};

class Captions final : public Side {
 public:
  Captions(const std::string& folder, const std::string& dtype, const json& job)
      : Side(job),
        dtype_(dtype),
        captioner_(folder, {.device = "cpu", .dtype = dtype}),
        encoder_(make_encoder(captioner_.model(), dtype)) {}

 private:
  void prepare(int beams) override {
    GenerationConfig config = captioner_.generation();
    force_length(config, tokens_, beams);
    drawer_.reset();
    drawer_ = std::make_unique<Drawer>(captioner_.model().decoder(), config, batch_, dtype_);
  }

  std::vector<Candidate> draw(std::span<const std::string> files, Times& times) override {
    const at::Tensor pixels_BCHW = timed(times.preprocess, [&] { return pixels(files); });
    const at::Tensor hidden_BSD = timed(times.encoder, [&] { return encoder_->encode(pixels_BCHW); });
    return timed(times.decode, [&] { return drawer_->draw(hidden_BSD, times); });
  }

  at::Tensor pixels(std::span<const std::string> files) const {
    std::vector<at::Tensor> pixels(files.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
      const c10::InferenceMode no_gradients;
      for (std::size_t i = next++; i < files.size(); i = next++) pixels[i] = captioner_.pixels(read_image(files[i]));
    };
    {
      std::vector<std::jthread> others;
      const auto wanted = std::min(files.size(), static_cast<std::size_t>(at::get_num_threads()));
      for (std::size_t i = 1; i < wanted; ++i) others.emplace_back(work);
      work();
    }
    return at::cat(pixels);
  }

  std::string dtype_;
  Captioner captioner_;
  std::unique_ptr<EncoderEngine> encoder_;
  std::unique_ptr<Drawer> drawer_;
};

class Texts final : public Side {
 public:
  Texts(const std::string& folder, const std::string& dtype, const json& job)
      : Side(job), dtype_(dtype), decoder_(load_gpt2(folder)) {
    decoder_->eval();
  }

 private:
  void prepare(int beams) override {
    GenerationConfig config;
    config.decoder_start_token_id = config.eos_token_id = config.pad_token_id = decoder_->config().vocab_size - 1;
    force_length(config, tokens_, beams);
    drawer_.reset();
    drawer_ = std::make_unique<Drawer>(*decoder_, config, batch_, dtype_);
  }

  std::vector<Candidate> draw(std::span<const std::string> files, Times& times) override {
    const at::Tensor nothing_B0D = at::empty({static_cast<std::int64_t>(files.size()), 0, decoder_->config().n_embd});
    return timed(times.decode, [&] { return drawer_->draw(nothing_B0D, times); });
  }

  std::string dtype_;
  std::shared_ptr<Gpt2> decoder_;
  std::unique_ptr<Drawer> drawer_;
};

template <class Answer>
void serve(Answer&& answer) {
  fmt::print("{{\"ready\": true}}\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", answer(json::parse(line)).dump());
    std::fflush(stdout);
  }
}

}  // namespace

int run(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  const bool machine = kind == "machine" && argc == 3;
  if (!machine && !((kind == "captions" || kind == "decoder") && argc == 5)) {
    std::fputs("usage: bench_generate captions|decoder MODEL DTYPE JOB.json\n       bench_generate machine JOB.json\n",
               stderr);
    return 2;
  }
  const json job = json::parse(read_file(argv[argc - 1]));
  const int threads = job["threads"];
  at::set_num_threads(threads);
  if (machine) {
    bench::Machine limits(threads);
    serve([&](const json& request) {
      const std::string what = request["what"];
      const double seconds = request["seconds"];
      const double rate =
          what == "read" ? limits.read_rate(request["bytes"], seconds) : limits.product_rate(what, seconds);
      return json{{"rate", rate}};
    });
    return 0;
  }
  std::unique_ptr<Side> side;
  if (kind == "captions")
    side = std::make_unique<Captions>(argv[2], argv[3], job);
  else
    side = std::make_unique<Texts>(argv[2], argv[3], job);
  serve([&](const json& request) { return side->answer(request); });
  return 0;
}
