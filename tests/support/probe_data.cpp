// Data command of the probe that the Python tests drive:
//   source COMPONENT.yaml     COMPONENT is {name, config} as in a preparation's `sources`. Writes what the source reads
//                             as JSON lines: {"id", "file", "offset", "size", "name", "split", "captions"} for each
//                             picture in order, then {"skipped", "reason"} for each line of the ledger.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "capstan/config/load.h"
#include "capstan/data/source.h"
#include "support/probe_commands.h"

namespace {

using namespace capstan;

void write_line(const nlohmann::ordered_json& record) {
  const std::string line = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

}  // namespace

// Exit code, or -1 when argv[1] is not this command.
int probe_data(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "source") return -1;
  config::Problems problems;
  config::Component component;
  config::read_value(config::load_yaml(argv[2]), "source", component, {}, problems);
  problems.throw_if_any();
  const auto source = sources().find(component.name).make(component.config, problems);
  problems.throw_if_any();
  std::vector<LedgerEntry> ledger;
  source->read(
      [](const CaptionedImage& image) {
        write_line({{"id", image.image_id},
                    {"file", image.file.string()},
                    {"offset", image.offset},
                    {"size", image.size},
                    {"name", image.name},
                    {"split", image.split},
                    {"captions", image.captions}});
      },
      ledger);
  for (const LedgerEntry& entry : ledger) write_line({{"skipped", entry.file}, {"reason", entry.reason}});
  return 0;
}
