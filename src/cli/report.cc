// r1 report: the page about one run, or about several side by side.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "recipe/plot_svg.h"
#include "recipe/report.h"

namespace r1::cli {
namespace {

struct ReportConfig {
  std::string output;
  std::string svg;

  template <class V>
  void Fields(V& v) {
    v("output", output, "where the page goes; if not given: RUN/report.html, or report.html here for several runs");
    v("svg", svg, "also write the curves alone to this file, as a picture for a README");
  }
};

Result<int> Run(const ReportConfig& config, const Invocation& invocation) {
  const std::vector<std::string>& runs = invocation.positionals;
  std::string output = config.output;
  if (output.empty()) output = runs.size() == 1 ? JoinPath(runs[0], "report.html") : "report.html";
  R1_TRY(WriteReport(runs, output));
  if (!config.svg.empty()) R1_TRY(WriteCurvesSvg(runs, config.svg));
  if (invocation.json) {
    PrintJson({{"runs", runs},
               {"page", output},
               {"svg", config.svg.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(config.svg)}});
    return 0;
  }
  Print(fmt::format("{}\n", output));
  if (!config.svg.empty()) Print(fmt::format("{}\n", config.svg));
  return 0;
}

}  // namespace

Command ReportCommand() {
  Command command;
  command.name = "report";
  command.group = "Look at results";
  command.summary = "write the page about a run: curves, results, and what the model thought before and after";
  command.description =
      "Makes one HTML file that needs nothing else, no network and no other file: results with their standard errors, "
      "curves over "
      "steps and over tokens, the model's answers with the thinking to unfold, settings, lineage and the commands to "
      "repeat the run. "
      "Several runs are drawn side by side.";
  command.examples = {{"r1 report runs/zero", "writes runs/zero/report.html"},
                      {"r1 report runs/seed-1 runs/seed-2 --output compare.html", "two runs on one page"},
                      {"r1 report runs/zero --svg curves.svg", "also the curves as a picture"}};
  command.positionals = {{"RUN", "folder of a run", true, true}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
