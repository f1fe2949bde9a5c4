// capstan caption: pictures to captions, one line each.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "capstan/generate/captioner.h"
#include "capstan/image/decode.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct CaptionCommandOptions {
  bool json = false;
  int batch_size = 8;
  int max_new_tokens = 0;
  std::string device = "auto";
  std::string dtype = "float32";

  template <class Visitor>
  void fields(Visitor& v) {
    v("json", json, "One JSON object a line.");
    v("batch_size", batch_size, "Pictures captioned together.", between(1, 4096));
    v("max_new_tokens", max_new_tokens, "Longest caption; 0: as generation_config.json says.", between(0, 4096));
    v("device", device, "auto, cpu, cuda or cuda:N.");
    v("dtype", dtype, "Number type of the weights.", one_of({"float32", "bfloat16", "float16"}));
  }
};

void print(const std::string& path, const std::string& caption, bool json) {
  if (!json) {
    std::cout << path << '\t' << caption << std::endl;
    return;
  }
  const nlohmann::ordered_json line{{"path", path}, {"caption", caption}};
  std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

int run(const Arguments& arguments) {
  const auto options = load_options<CaptionCommandOptions>(arguments.overrides);
  Captioner captioner(resolve_model_directory(arguments.paths.front()),
                      {.device = options.device, .dtype = options.dtype, .max_new_tokens = options.max_new_tokens});
  std::vector<Image> images;
  std::vector<std::string> paths;
  int failures = 0;
  const auto flush = [&] {
    const auto captions = captioner.caption(images);
    for (std::size_t i = 0; i < captions.size(); ++i) print(paths[i], captions[i], options.json);
    images.clear();
    paths.clear();
  };
  // A picture that cannot be read is reported and the others are still captioned.
  for (auto path = arguments.paths.begin() + 1; path != arguments.paths.end() && !stop_requested(); ++path) {
    try {
      images.push_back(read_image(*path));
      paths.push_back(*path);
    } catch (const DataError& error) {
      log_error(error.what());
      ++failures;
    }
    if (images.size() == static_cast<std::size_t>(options.batch_size)) flush();
  }
  if (!images.empty()) flush();
  return stop_requested() ? stop_exit_code() : failures > 0 ? 1 : 0;
}

}  // namespace

Command caption_command() {
  return {.name = "caption",
          .summary = "Caption pictures: one 'path<TAB>caption' line each.",
          .paths = "MODEL_DIR IMAGE...",
          .min_paths = 2,
          .max_paths = -1,
          .options = describe_options<CaptionCommandOptions>(),
          .example = "capstan caption checkpoints/scenes photo.jpg json=true",
          .run = run};
}

}  // namespace capstan::cli
