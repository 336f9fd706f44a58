#include "recipe/report.h"

#include "base/files.h"
#include "recipe/report_data.h"
#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

struct Part {
  const char* anchor;
  const char* title;
  std::string html;
};

}  // namespace

Result<std::string> RenderReport(const std::vector<std::string>& run_dirs) {
  R1_ASSIGN(const std::vector<RunData> runs, ReadRuns(run_dirs));
  const Part parts[] = {{"results", "Results", ResultsSection(runs)},
                        {"curves", "Curves", CurvesSection(runs)},
                        {"traces", "Before and after", TracesSection(runs)},
                        {"training", "During training", CompletionsSection(runs)},
                        {"notes", "What to keep in mind", HonestySection(runs)},
                        {"lineage", "Make it again", LineageSection(runs)}};
  std::string links, body, title = "r1 report:";
  for (const Part& part : parts) {
    if (part.html.empty()) continue;
    links += std::string("<a href=\"#") + part.anchor + "\">" + part.title + "</a>";
    body += part.html;
  }
  for (const RunData& run : runs) title += " " + run.name;
  return HtmlPage(title, "<nav><div>" + links + "</div></nav><main>" + HeaderSection(runs) + body +
                             "<footer>Made by r1 report from the files of the run folders. This "
                             "page is one file and loads nothing.</footer></main>");
}

Status WriteReport(const std::vector<std::string>& run_dirs, const std::string& out_path) {
  R1_ASSIGN(const std::string page, RenderReport(run_dirs));
  return WriteFileAtomic(out_path, page);
}

}  // namespace r1
