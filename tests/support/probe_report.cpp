// Reports command of the probe that the Python tests drive:
//   events DIRECTORY STEPS_DONE < SCRIPT    an EventWriter told what each line of the script says, in JSON:
//     {"scalar": [TAG, STEP, VALUE]}   {"text": [TAG, STEP, MARKDOWN]}   {"image": [TAG, STEP, HEIGHT, WIDTH, FILE]}
//     {"go_on_after": STEP}   {"flush": true}   {"kill": true} (SIGKILL to itself)
// Prints the path of the event file.
#include <csignal>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/report/events.h"
#include "support/probe_commands.h"

namespace {

void carry_out(capstan::EventWriter& events, const nlohmann::json& order) {
  const std::string action = order.begin().key();
  const nlohmann::json& values = order.begin().value();
  if (action == "scalar")
    // As text where JSON has no number for it.
    events.scalar(values[0].get<std::string>(), values[1],
                  values[2].is_string() ? std::stod(values[2].get<std::string>()) : values[2].get<double>());
  else if (action == "text")
    events.text(values[0].get<std::string>(), values[1], values[2].get<std::string>());
  else if (action == "image")
    events.image(values[0].get<std::string>(), values[1], values[2], values[3],
                 capstan::read_file(values[4].get<std::string>()));
  else if (action == "go_on_after")
    events.go_on_after(values);
  else if (action == "flush")
    events.flush();
  else if (action == "kill")
    std::raise(SIGKILL);
  else
    throw capstan::UsageError("no such order: " + order.dump());
}

}  // namespace

int probe_report(int argc, char** argv) {
  if (argc != 4 || std::string(argv[1]) != "events") return -1;
  capstan::EventWriter events(argv[2], std::stoll(argv[3]));
  std::cout << events.path().string() << std::endl;
  for (std::string line; std::getline(std::cin, line);) carry_out(events, capstan::parse_json(line, "script"));
  return 0;
}
