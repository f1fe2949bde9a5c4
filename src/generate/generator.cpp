// Continuous batching: one search for each picture, one engine for all of them.
#include "capstan/generate/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "capstan/generate/encoder.h"
#include "generate/evaluation_mode.h"
#include "generate/logits_reader.h"
#include "generate/search.h"

namespace capstan {
namespace {

// What is drawn for a picture depends on its pixels alone.
std::uint64_t picture_seed(const GenerationConfig& options, const at::Tensor& pixels) {
  if (!options.do_sample) return 0;
  const at::Tensor bytes = pixels.to(at::kCPU, at::kFloat).contiguous();
  const std::string_view text(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes());
  return stream_seed(static_cast<std::uint64_t>(options.seed), "generate", stable_hash(text));
}

struct Job {
  std::uint64_t ticket;
  std::unique_ptr<search::Search> search;
  std::int64_t first_row;  // in the engine
  std::int64_t num_rows;
};

}  // namespace

struct Generator::State {
  State(VisionEncoderDecoder& the_model, const GenerationConfig& options, std::shared_ptr<const Tokenizer> tokenizer)
      : model(the_model),
        plan(options, the_model.config().decoder.vocab_size, the_model.config().decoder.n_positions, tokenizer.get()),
        reader(plan) {}

  // Tokens to feed and, for each row, its search and which of the search's rows it is.
  void gather_rows();
  void advance_searches(std::span<search::RowOutcome> outcomes);
  std::vector<Finished> take_finished();

  VisionEncoderDecoder& model;
  search::SearchPlan plan;
  search::LogitsReader reader;
  std::int64_t max_rows = 0;
  std::unique_ptr<EncoderEngine> encoder;
  std::unique_ptr<DecodeEngine> engine;
  std::vector<Job> jobs;  // in the order of their rows
  std::vector<std::int64_t> tokens, kept_rows;
  std::vector<std::pair<const search::Search*, std::int64_t>> row_owners;
};

Generator::Generator(VisionEncoderDecoder& model, const GenerationConfig& options,
                     std::shared_ptr<const Tokenizer> tokenizer, EngineOptions engine)
    : state_(std::make_unique<State>(model, options, std::move(tokenizer))) {
  engine.max_rows = state_->max_rows = std::max(engine.max_rows, state_->plan.rows_per_picture());
  engine.max_tokens = state_->plan.max_length() - 1;  // the last token drawn is never fed
  state_->encoder = make_encoder(model, engine.dtype);
  state_->engine = make_engine(model, engine);
}

Generator::~Generator() = default;

std::int64_t Generator::room() const {
  return (state_->max_rows - state_->engine->rows()) / state_->plan.rows_per_picture();
}

bool Generator::idle() const { return state_->jobs.empty(); }

void Generator::add(const at::Tensor& pixel_values_BCHW, std::span<const std::uint64_t> tickets) {
  CAPSTAN_ASSERT(pixel_values_BCHW.dim() == 4 &&
                 pixel_values_BCHW.size(0) == static_cast<std::int64_t>(tickets.size()) &&
                 pixel_values_BCHW.size(0) <= room());
  if (tickets.empty()) return;
  const c10::InferenceMode no_gradients;
  const EvaluationMode no_dropout(state_->model);
  const at::Tensor encoder_hidden_BSD = state_->encoder->encode(pixel_values_BCHW);
  const std::int64_t rows = state_->plan.rows_per_picture();
  std::int64_t first_row = state_->engine->rows();
  state_->engine->add(encoder_hidden_BSD, rows);
  for (std::size_t i = 0; i < tickets.size(); ++i, first_row += rows) {
    const at::Tensor pixels = pixel_values_BCHW.select(0, static_cast<std::int64_t>(i));
    const std::uint64_t seed = picture_seed(state_->plan.options(), pixels);
    state_->jobs.push_back({tickets[i], search::make_search(state_->plan, seed), first_row, rows});
  }
}

void Generator::State::gather_rows() {
  tokens.clear();
  row_owners.clear();
  for (const Job& job : jobs) {
    for (std::int64_t row = 0; row < job.num_rows; ++row) {
      tokens.push_back(job.search->ids(row).back());
      row_owners.emplace_back(job.search.get(), row);
    }
  }
}

void Generator::State::advance_searches(std::span<search::RowOutcome> outcomes) {
  at::parallel_for(0, static_cast<std::int64_t>(jobs.size()), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Job& job = jobs[static_cast<std::size_t>(i)];
      job.search->advance(
          outcomes.subspan(static_cast<std::size_t>(job.first_row), static_cast<std::size_t>(job.num_rows)));
    }
  });
}

std::vector<Finished> Generator::State::take_finished() {
  std::vector<Finished> finished;
  kept_rows.clear();
  for (Job& job : jobs) {
    const std::int64_t first_row = std::exchange(job.first_row, static_cast<std::int64_t>(kept_rows.size()));
    job.num_rows = job.search->num_rows();
    for (const std::int64_t parent : job.search->parents()) kept_rows.push_back(first_row + parent);
    if (job.num_rows == 0) finished.push_back({job.ticket, job.search->finish()});
  }
  std::erase_if(jobs, [](const Job& job) { return job.num_rows == 0; });
  return finished;
}

std::vector<Finished> Generator::step() {
  State& state = *state_;
  if (state.jobs.empty()) return {};
  const c10::InferenceMode no_gradients;
  const EvaluationMode no_dropout(state.model);
  state.gather_rows();
  const at::Tensor& logits_RV = state.engine->step(state.tokens);
  state.advance_searches(state.reader.read(logits_RV, [&](std::int64_t row) {
    const auto& [search, own_row] = state.row_owners[static_cast<std::size_t>(row)];
    return search->ids(own_row);
  }));
  std::vector<Finished> finished = state.take_finished();
  const auto num_rows = static_cast<std::size_t>(state.engine->rows());
  bool same = state.kept_rows.size() == num_rows;
  for (std::size_t row = 0; same && row < num_rows; ++row)
    same = state.kept_rows[row] == static_cast<std::int64_t>(row);
  if (!same) state.engine->select(state.kept_rows);
  return finished;
}

std::vector<std::vector<Candidate>> generate_candidates(Generator& generator, const at::Tensor& pixel_values_BCHW) {
  CAPSTAN_ASSERT(pixel_values_BCHW.dim() == 4 && generator.idle());
  const std::int64_t total = pixel_values_BCHW.size(0);
  std::vector<std::vector<Candidate>> candidates(static_cast<std::size_t>(total));
  // Pictures are encoded a few at a time, which is faster than one by one.
  const std::int64_t few = std::max<std::int64_t>(1, generator.room() / 4);
  std::int64_t added = 0;
  std::vector<std::uint64_t> tickets;
  while (added < total || !generator.idle()) {
    const std::int64_t count = std::min(generator.room(), total - added);
    if (count > 0 && (count >= few || generator.idle() || count == total - added)) {
      tickets.clear();
      for (std::int64_t i = 0; i < count; ++i) tickets.push_back(static_cast<std::uint64_t>(added + i));
      generator.add(pixel_values_BCHW.narrow(0, added, count), tickets);
      added += count;
    }
    for (Finished& finished : generator.step()) candidates[finished.ticket] = std::move(finished.candidates);
  }
  return candidates;
}

std::vector<std::vector<Candidate>> generate_candidates(VisionEncoderDecoder& model,
                                                        const at::Tensor& pixel_values_BCHW,
                                                        const GenerationConfig& options,
                                                        std::shared_ptr<const Tokenizer> tokenizer,
                                                        EngineOptions engine) {
  CAPSTAN_ASSERT(pixel_values_BCHW.dim() == 4);
  engine.max_rows =
      std::clamp<std::int64_t>(pixel_values_BCHW.size(0) * options.texts_per_picture(), 1, engine.max_rows);
  Generator generator(model, options, std::move(tokenizer), engine);
  return generate_candidates(generator, pixel_values_BCHW);
}

}  // namespace capstan
