// capstan export: a model folder to the formats other programs run.
#include <iostream>

#include "capstan/checkpoint/run_dir.h"
#include "capstan/export/export_model.h"
#include "commands.h"

namespace capstan::cli {
namespace {

struct ExportCommandOptions {
  std::string output = "export";
  std::vector<std::string> formats{"huggingface", "torchscript", "onnx"};
  std::string cross_attention = "absorb";
  bool overwrite = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("output", output, "Folder to write.");
    v("formats", formats, "Which forms; `capstan list` names them.");
    v("cross_attention", cross_attention, "ONNX: multiply key and value projections into the query side, or not.",
      one_of({"absorb", "plain"}));
    v("overwrite", overwrite, "Replace a folder that is already there.");
  }
};

int run(const Arguments& arguments) {
  const auto options = load_options<ExportCommandOptions>(arguments.overrides);
  const ExportReport report = export_model({.model = resolve_model_directory(arguments.paths.front()),
                                            .output = options.output,
                                            .cross_attention = options.cross_attention,
                                            .overwrite = options.overwrite},
                                           options.formats);
  std::cout << format_export(report) << options.output << "\n";
  return 0;
}

}  // namespace

Command export_command() {
  return {.name = "export",
          .summary = "Write a model as a Hugging Face folder, TorchScript and ONNX.",
          .paths = "MODEL_DIR",
          .min_paths = 1,
          .max_paths = 1,
          .options = describe_options<ExportCommandOptions>(),
          .example = "capstan export checkpoints/scenes output=exports/scenes formats=[huggingface,onnx]",
          .run = run};
}

}  // namespace capstan::cli
