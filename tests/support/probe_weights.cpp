// Opening weights, and what it takes:
//   load MODEL [DTYPE]                 load_pretrained; prints memory in KiB before and at most, and what did not fit
//   load-fitting MODEL                 the same, letting missing and mismatched weights start fresh
//   tensors FILE OUT                   read_torch_archive, then write_safetensors
//   convert MODEL OUT DTYPE            load_pretrained, then save_pretrained in another type
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "capstan/checkpoint/torch_archive.h"
#include "capstan/core/device.h"
#include "capstan/models/pretrained.h"
#include "support/probe_commands.h"

namespace {

using Arguments = std::vector<std::string>;

long status_kib(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stol(line.substr(key.size() + 1));
  return -1;
}

int open_and_report(const Arguments& args, const capstan::LoadOptions& options) {
  { const at::Tensor warm = at::ones({8, 8}).mm(at::ones({8, 8})); }  // what the libraries take for themselves
  const long anonymous = status_kib("RssAnon"), resident = status_kib("VmHWM");
  capstan::LoadReport report;
  const auto model = capstan::load_pretrained(args.at(0), options, &report);
  std::int64_t bytes = 0;
  for (const auto& parameter : model->parameters()) bytes += static_cast<std::int64_t>(parameter.nbytes());
  fmt::print("bytes {}\nanonymous {} {}\nresident {} {}\n", bytes, anonymous, status_kib("RssAnon"), resident,
             status_kib("VmHWM"));
  for (const auto& name : report.newly_initialized) fmt::print("new {}\n", name);
  for (const auto& name : report.unexpected) fmt::print("unexpected {}\n", name);
  for (const auto& weight : report.mismatched) fmt::print("mismatched {}\n", weight.name);
  return 0;
}

int load(const Arguments& args) {
  capstan::LoadOptions options;
  if (args.size() > 1) options.dtype = capstan::parse_dtype(args[1]);
  return open_and_report(args, options);
}

int load_fitting(const Arguments& args) {
  return open_and_report(args, {.initialize_missing = true, .ignore_mismatched_sizes = true});
}

int tensors(const Arguments& args) {
  capstan::write_safetensors(args.at(1), capstan::read_torch_archive(args.at(0)));
  return 0;
}

int convert(const Arguments& args) {
  capstan::save_pretrained(*capstan::load_pretrained(args.at(0)), args.at(1), capstan::parse_dtype(args.at(2)));
  return 0;
}

}  // namespace

int probe_weights(int argc, char** argv) {
  static const std::map<std::string, int (*)(const Arguments&)> commands{
      {"load", load}, {"load-fitting", load_fitting}, {"tensors", tensors}, {"convert", convert}};
  const auto command = commands.find(argc > 1 ? argv[1] : "");
  if (command == commands.end()) return -1;
  return command->second(Arguments(argv + 2, argv + argc));
}
