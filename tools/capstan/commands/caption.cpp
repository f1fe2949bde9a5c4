// capstan caption: pictures to captions, in the order in which they were given.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <thread>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/progress.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"
#include "caption/output.h"
#include "caption/pipeline.h"
#include "commands.h"
#include "generation_options.h"

namespace capstan::cli {
namespace {

// As a shell shows for a program that a closed pipe has ended.
constexpr int kReaderGone = 128 + SIGPIPE;
constexpr int kMostPictures = 4096;

struct OwnOptions {
  std::string output = "text";
  bool json = false;
  int alternatives = 0;
  std::string batch_size = "auto";
  int threads = 0;
  std::string standard_input = "auto";
  std::string device = "auto";
  std::string dtype = "float32";
  DecodeOptions decode;

  template <class Visitor>
  void fields(Visitor& v) {
    v("output", output, "Lines of path<TAB>caption, JSON objects or CSV.", one_of({"text", "json", "csv"}));
    v("json", json, "The same as output=json.");
    v("alternatives", alternatives, "Captions for each picture, best first, with scores; 0: num_return_sequences.",
      between(0, 64));
    v("batch_size", batch_size, "Pictures under way at a time: a number, or auto (by device and memory).");
    v("threads", threads, "Threads that decode pictures; 0: by the number of cores.", between(0, 256));
    v("stdin", standard_input, "What comes for '-': one picture, a list of paths, or told by its first bytes.",
      one_of({"auto", "list", "picture"}));
    v("device", device, "auto, cpu, cuda or cuda:N.");
    v("dtype", dtype, "Number type of the weights; int8 is of the decoder.",
      one_of({"float32", "bfloat16", "float16", "int8"}));
    decode.fields(v);
  }
};

using CaptionCommandOptions = WithGeneration<OwnOptions>;

// 0 stands for auto.
int parse_batch_size(const std::string& text) {
  if (text == "auto") return 0;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMostPictures)
    throw ConfigError(
        fmt::format("batch_size: found '{}', expected auto or a number from 1 to {}", text, kMostPictures));
  return value;
}

int decoder_threads(const OwnOptions& options, Captioner& captioner) {
  if (options.threads > 0) return options.threads;
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const bool cores_are_free = captioner.model().parameters().front().is_cuda();
  return std::clamp(cores_are_free ? cores : cores / 2, 1, 32);
}

// How many there are, for the time that is left; 0 where nobody looks or a list comes by standard input.
std::int64_t count_inputs(const std::vector<std::string>& paths) {
  if (!progress_visible() || std::count(paths.begin(), paths.end(), "-") > 0) return 0;
  std::int64_t count = 0;
  const auto wanted = [] { return !stop_requested(); };
  const auto take = [&](const Input&) {
    ++count;
    return wanted();
  };
  list_inputs(paths, Stdin::kList, {.take = take, .wanted = wanted});
  return count;
}

// Prints results and keeps count of them.
class Printer {
 public:
  Printer(std::string format, std::int64_t total)
      : format_(std::move(format)), progress_("caption", total, "pictures") {
    reader_gone_ = !write_output(format_heading(format_));
  }

  // False when nobody reads any more.
  bool print(const Result& result) {
    if (result.error.empty()) {
      progress_.pause();
      reader_gone_ = reader_gone_ || !write_output(format_captions(format_, result.name, result.captions));
    } else {
      progress_.pause();
      log_error(result.error);
      ++failures_;
    }
    ++count_;
    progress_.advance(1);
    return !reader_gone_;
  }

  int finish() {
    progress_.finish();
    if (progress_visible())
      log_info(fmt::format("{} pictures in {}, {:.1f} pictures/s; {} could not be captioned",
                           human_count(static_cast<double>(count_)), human_duration(progress_.seconds()),
                           static_cast<double>(count_) / std::max(progress_.seconds(), 1e-9), failures_));
    if (stop_requested()) return stop_exit_code();
    if (reader_gone_) return kReaderGone;
    return failures_ > 0 ? 1 : 0;
  }

 private:
  const std::string format_;
  Progress progress_;
  bool reader_gone_ = false;
  std::int64_t count_ = 0, failures_ = 0;
};

int run(const Arguments& arguments) {
  const auto options = load_options<CaptionCommandOptions>(arguments.overrides);
  const PipelineOptions pipeline{.batch_size = parse_batch_size(options.batch_size), .decode = options.decode};
  const std::vector<std::string> paths(arguments.paths.begin() + 1, arguments.paths.end());
  if (std::count(paths.begin(), paths.end(), "-") > 1)
    throw UsageError("capstan caption: '-' is given twice, but there is one standard input");
  std::signal(SIGPIPE, SIG_IGN);  // a write says so instead
  const auto captioner = std::make_shared<Captioner>(
      resolve_model_directory(arguments.paths.front()),
      CaptionerOptions{
          .device = options.device, .dtype = options.dtype, .generation = [&](GenerationConfig& generation) {
            apply_generation<OwnOptions>(arguments.overrides, generation);
          }});
  const Stdin kind = options.standard_input == "auto"   ? Stdin::kDetect
                     : options.standard_input == "list" ? Stdin::kList
                                                        : Stdin::kPicture;
  Printer printer(options.json ? "json" : options.output, count_inputs(paths));
  PipelineOptions with_threads = pipeline;
  with_threads.num_decoders = decoder_threads(options, *captioner);
  caption_inputs(
      captioner, with_threads, [&](const InputSink& sink) { list_inputs(paths, kind, sink); },
      [&](const Result& result) { return printer.print(result); });
  return printer.finish();
}

}  // namespace

Command caption_command() {
  return {.name = "caption",
          .summary = "Caption pictures: files, folders, patterns, or '-' for standard input.",
          .paths = "MODEL_DIR IMAGE...",
          .min_paths = 2,
          .max_paths = -1,
          .options = describe_options<OwnOptions>() +
                     "\nHow captions are drawn, where it should differ from the model's generation_config.json:\n" +
                     describe_options<GenerationConfig>(),
          .example = "capstan caption checkpoints/scenes photo.jpg holidays/ output=json num_beams=4 alternatives=3",
          .run = run};
}

}  // namespace capstan::cli
