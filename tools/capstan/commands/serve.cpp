// capstan serve: captions over HTTP.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/core/log.h"
#include "capstan/core/signals.h"
#include "capstan/serve/server.h"
#include "commands.h"
#include "generation_options.h"

namespace capstan::cli {
namespace {

struct ServeCommandOptions : ServerOptions {
  int alternatives = 0;
  std::string device = "auto";
  std::string dtype = "float32";

  template <class Visitor>
  void fields(Visitor& v) {
    ServerOptions::fields(v);
    v("alternatives", alternatives, "Captions for each picture, best first, with scores; 0: num_return_sequences.",
      between(0, 64));
    v("device", device, "auto, cpu, cuda or cuda:N.");
    v("dtype", dtype, "Number type of the weights; int8 is of the decoder.",
      one_of({"float32", "bfloat16", "float16", "int8"}));
  }
};

int run(const Arguments& arguments) {
  const auto options = load_options<WithGeneration<ServeCommandOptions>>(arguments.overrides);
  const std::string model = resolve_model_directory(arguments.paths.front()).string();
  const auto apply = [&](GenerationConfig& generation) {
    apply_generation<ServeCommandOptions>(arguments.overrides, generation);
  };
  Server server(std::make_shared<Captioner>(
                    model, CaptionerOptions{.device = options.device, .dtype = options.dtype, .generation = apply}),
                options);
  std::cout << server.url() << std::endl;
  log_info(fmt::format("serving {}; stop with Ctrl-C", model));
  server.run(stop_requested);
  log_info("stopped; every request was answered");
  return stop_exit_code();
}

}  // namespace

Command serve_command() {
  return {.name = "serve",
          .summary = "Answer HTTP requests with captions, and show a page to drop pictures on.",
          .paths = "MODEL_DIR",
          .min_paths = 1,
          .max_paths = 1,
          .options = describe_options<ServeCommandOptions>() +
                     "\nHow captions are drawn, where it should differ from the model's generation_config.json:\n" +
                     describe_options<GenerationConfig>(),
          .example = "capstan serve checkpoints/scenes port=8080",
          .run = run};
}

}  // namespace capstan::cli
