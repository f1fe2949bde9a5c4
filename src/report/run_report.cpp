#include "capstan/report/run_report.h"

#include <fmt/format.h>

#include "capstan/core/files.h"
#include "capstan/core/version.h"
#include "capstan/report/chart.h"
#include "report/html.h"
#include "report/page_parts.h"

namespace capstan {
namespace {

struct Part {
  const char* id;
  const char* name;
  std::string (*make)(const RunData&);
};

constexpr Part kParts[] = {
    {"curves", "Curves", report::curves_part},
    {"evaluations", "Evaluations", report::evaluations_part},
    {"samples", "Captions", report::samples_part},
    {"events", "Events", report::events_part},
    {"checkpoints", "Checkpoints", report::checkpoints_part},
    {"config", "Configuration", report::config_part},
    {"environment", "Environment", report::environment_part},
};

}  // namespace

std::string report_page(const RunData& run) {
  std::string links, body;
  for (const Part& part : kParts) {
    const std::string text = part.make(run);
    if (text.empty()) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>\n", part.id, part.name);
    body += text;
  }
  if (body.empty()) body = "<p class=\"sub\">Nothing has been written yet.</p>\n";
  // The policy forbids what the page does not do anyway: scripts, and requests of any kind.
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
      "'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"Capstan {}\">\n<title>{}: training report</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>\n{}{}</style>\n</head>\n<body>\n<main>\n<header>\n{}<nav>\n{}"
      "</nav>\n</header>\n{}</main>\n</body>\n</html>\n",
      version(), report::escape_html(report::run_name(run)), report::page_style(), chart_style(),
      report::header_part(run), links, body);
}

std::filesystem::path write_report(const std::filesystem::path& run) {
  const std::filesystem::path path = run / "report.html";
  write_file_atomic(path, report_page(read_run(run)));
  return path;
}

}  // namespace capstan
