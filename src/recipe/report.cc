#include "recipe/report.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "recipe/report_curves.h"
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

template <size_t n>
Part* Named(Part (&parts)[n], std::string_view anchor) {
  return std::find_if(parts, parts + n, [&](const Part& part) { return anchor == part.anchor; });
}

// Chosen by the labels of AxisSwitch; rules of the style sheet show the charts of the one that is checked.
constexpr const char* kAxisInputs =
    "<input class=\"axis\" type=\"radio\" name=\"axis\" id=\"axis-step\" checked>"
    "<input class=\"axis\" type=\"radio\" name=\"axis\" id=\"axis-tokens\">";

}  // namespace

std::string SectionOf(const char* id, const char* title, const std::vector<RunGroup>& groups,
                      const std::function<std::string(const RunGroup&)>& part) {
  std::string body;
  for (const RunGroup& group : groups) {
    const std::string html = part(group);
    if (html.empty()) continue;
    if (groups.size() > 1) body += "<h3 class=\"phase\">" + EscapeHtml(GroupTitle(group)) + "</h3>";
    body += html;
  }
  if (body.empty()) return "";
  return std::string("<section id=\"") + id + "\"><h2>" + title + "</h2>" + body + "</section>";
}

Result<std::string> RenderReport(const std::vector<std::string>& run_dirs) {
  R1_ASSIGN(const std::vector<RunData> runs, ReadRuns(run_dirs));
  const std::vector<RunGroup> groups = GroupBySeeds(runs);
  Part parts[] = {{"pipeline", "Pipeline", PipelineSection(groups)},
                  {"results", "Results", ResultsSection(groups)},
                  {"claims", "The paper and ours", ClaimsSection(groups)},
                  {"algorithms", "Algorithms", AlgorithmsSection(groups)},
                  {"bases", "Bases", BasesSection(groups)},
                  {"language", "Language", LanguageSection(groups)},
                  {"last", "Helpful and safe", LastStageSection(groups)},
                  {"students", "Distillation", StudentsSection(groups)},
                  {"cost", "Cost of thinking", CostSection(groups)},
                  {"curves", "Curves", CurvesSection(runs)},
                  {"traces", "Before and after", TracesSection(runs)},
                  {"training", "During training", CompletionsSection(runs)},
                  {"notes", "What to keep in mind", HonestySection(runs)},
                  {"lineage", "Make it again", LineageSection(runs)}};
  if (std::any_of(groups.begin(), groups.end(), [](const RunGroup& g) { return MainEvals(g).size() > 2; })) {
    std::swap(*Named(parts, "curves"), *Named(parts, "traces"));  // a pipeline has many curves: reading first
  }
  std::string links, body, title = "r1 report:";
  for (const Part& part : parts) {
    if (part.html.empty()) continue;
    links += std::string("<a href=\"#") + part.anchor + "\">" + part.title + "</a>";
    body += part.html;
  }
  for (const RunData& run : runs) title += " " + run.name;
  return HtmlPage(title, "<nav><div>" + links + "</div></nav><main>" + kAxisInputs + HeaderSection(groups) + body +
                             "<footer>Made by r1 report from the files of the run folders. This "
                             "page is one file and loads nothing.</footer></main>");
}

Status WriteReport(const std::vector<std::string>& run_dirs, const std::string& out_path) {
  R1_ASSIGN(const std::string page, RenderReport(run_dirs));
  return WriteFileAtomic(out_path, page);
}

}  // namespace r1
