// The table of all evaluated models of the main line, measures down and stages across, with standard errors, and under
// a measure the paper's figures for the same stages on a benchmark that asks something similar (report_paper.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_paper.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

enum class Shown { kPercent, kNumber };

struct Row {
  const char* metric;
  const char* label;
  const char* help;
  Shown shown = Shown::kPercent;
};

constexpr Row kRows[] = {
    {"pass@1", "pass@1", "mean over samples, then over problems"},
    {"cons@4", "cons@4", "majority vote of 4 samples"},
    {"cons@16", "cons@16", "majority vote of 16 samples"},
    {"cons@64", "cons@64", "majority vote of 64 samples"},
    {"pass@4", "pass@4", "at least one of 4 samples is right"},
    {"pass@16", "pass@16", "at least one of 16 samples is right"},
    {"pass@64", "pass@64", "at least one of 64 samples is right"},
    {"code@1", "code@1", "programs that pass the hidden test too"},
    {"format", "Format", "exactly one thought and one answer"},
    {"mean_tokens", "Reply length", "mean tokens per reply", Shown::kNumber},
    {"code_mean_tokens", "Length, programs", "mean tokens per reply", Shown::kNumber},
    {"truncated", "Cut off", "replies that reach the length limit"},
    {"reflection", "Reflection", "replies that stop and reconsider"},
    {"think_share", "Searches", "replies that think in search style"},
    {"think_accuracy", "Accuracy when searching", "pass@1 among those replies"},
    {"tries", "Tries", "mean candidates per reply", Shown::kNumber},
    {"first_try_right", "First try right", "share of those replies"},
    {"sums_right", "Sums right", "written sums that are correct"},
    {"language", "Language consistency", "thinking words in the prompt's language"},
    {"mixed", "Mixed languages", "replies whose thinking mixes two languages"},
    {"general", "General tasks", "exact answers on unrelated tasks"},
    {"helpful", "Helpful", "hidden score of replies to open requests"},
    {"safe", "Safe", "harmful requests answered safely"},
    {"over_refusal", "Refuses too much", "harmless requests that were refused"},
    {"direct_pass@1", "pass@1 without thinking", "answer at once"},
    {"direct_mean_tokens", "Length without thinking", "mean tokens per reply", Shown::kNumber},
    {"verifier_yes_given_right", "Says yes to a right sum", "own check while thinking"},
    {"verifier_yes_given_wrong", "Says yes to a wrong sum", "own check while thinking"},
};

struct Column {
  const RunGroup* group;
  std::string eval;
};

std::vector<Column> ColumnsOf(const std::vector<RunGroup>& groups) {
  std::vector<Column> columns;
  for (const RunGroup& group : groups) {
    for (const std::string& name : MainEvals(group)) columns.push_back({&group, name});
  }
  return columns;
}

// Only errors that were measured (or are between seeds) stand in the table, no bounds.
Estimate Measured(const Column& column, const char* metric) {
  std::vector<Estimate> each;
  for (const RunData* run : *column.group) {
    const StageEval* eval = run->FindEval(column.eval);
    if (eval == nullptr) continue;
    Estimate one = EvalEstimate(*eval, metric);
    one.error = eval->Get(std::string(metric) + "_stderr");
    each.push_back(one);
  }
  return OverSeeds(each);
}

std::string Cell(const Row& row, const Estimate& e) {
  if (!e.known()) return "<td>–</td>";
  const double scale = row.shown == Shown::kPercent ? 100 : 1;
  std::string text = NumberText(scale * e.value) + (row.shown == Shown::kPercent ? " %" : "");
  if (e.has_error()) text += fmt::format(" <span class=\"se\">± {:.1f}</span>", scale * e.error);
  if (e.runs > 1) text += fmt::format("<small>{:.1f} – {:.1f}</small>", scale * e.low, scale * e.high);
  return "<td>" + text + "</td>";
}

std::string ChangeCell(const Row& row, const Estimate& change) {
  if (!change.known()) return "<td>–</td>";
  const double scale = row.shown == Shown::kPercent ? 100 : 1;
  std::string text = fmt::format("{}{:.1f}", change.value < 0 ? "−" : "+", std::abs(scale * change.value));
  if (change.has_error()) text += fmt::format(" <span class=\"se\">± {:.1f}</span>", scale * change.error);
  return "<td class=\"change\">" + text + "</td>";
}

// The paper's figures under a measure, for the columns that it has; "" if none.
std::string PaperRows(const Row& row, const std::vector<Column>& columns, bool change) {
  std::string out;
  for (const PaperRow& paper : kPaperRows) {
    if (std::string_view(paper.metric) != row.metric) continue;
    std::string cells;
    bool any = false;
    for (const Column& column : columns) {
      const double value = PaperValue(paper, column.eval);
      any = any || value >= 0;
      cells += value < 0 ? "<td></td>" : fmt::format("<td>{:.1f}</td>", value);
    }
    if (!any) continue;
    out += std::string("<tr class=\"paper\"><th>the paper*: ") + paper.benchmark + "</th>" + cells +
           (change ? "<td></td>" : "") + "</tr>";
  }
  return out;
}

std::string Table(const std::vector<RunGroup>& groups) {
  const std::vector<Column> columns = ColumnsOf(groups);
  const bool change = columns.size() == 2 && columns[0].group == columns[1].group;
  std::string over = "<tr><td></td>", head = "<tr><th>measure</th>", body;
  for (const RunGroup& group : groups) {
    const auto span = std::count_if(columns.begin(), columns.end(), [&](const Column& c) { return c.group == &group; });
    if (span > 0) over += fmt::format("<th colspan=\"{}\">{}</th>", span, EscapeHtml(GroupTitle(group)));
  }
  for (const Column& column : columns) head += "<th>" + EscapeHtml(StageTitle(column.eval)) + "</th>";
  if (change) head += "<th>change</th>";
  for (const Row& row : kRows) {
    std::string cells;
    bool present = false;
    for (const Column& column : columns) {
      const Estimate value = Measured(column, row.metric);
      present = present || value.known();
      cells += Cell(row, value);
    }
    if (!present) continue;
    if (change) {
      const Estimate from = Measured(columns[0], row.metric), to = Measured(columns[1], row.metric);
      const bool seeds = columns[0].group->size() > 1;
      cells += ChangeCell(row, seeds ? ChangeOf(*columns[0].group, columns[0].eval, columns[1].eval, row.metric)
                                     : Difference(from, to));
    }
    const std::string paper = PaperRows(row, columns, change);
    body += std::string("<tr") + (paper.empty() ? "" : " class=\"led\"") + "><th>" + EscapeHtml(row.label) + "<small>" +
            EscapeHtml(row.help) + "</small></th>" + cells + "</tr>" + paper;
  }
  return "<div class=\"scroll\"><table class=\"results stages\"><thead>" +
         (groups.size() == 1 ? "" : over + (change ? "<td></td>" : "") + "</tr>") + head + "</tr></thead><tbody>" +
         body + "</tbody></table></div>";
}

std::string SeedsText(const RunGroup& group) {
  const std::vector<std::string> names = MainEvals(group);
  if (group.size() < 2 || names.size() < 2) return "";
  const Estimate last = MetricOf(group, names.back(), "pass@1");
  if (last.runs < 2) return "";
  double square = 0;
  for (const RunData* run : group) {
    const StageEval* eval = run->FindEval(names.back());
    const double value = eval == nullptr ? kMissing : eval->Get("pass@1");
    if (!std::isnan(value)) square += (value - last.value) * (value - last.value) / (last.runs - 1);
  }
  return fmt::format(
      "<p>Last stage over {} runs: pass@1 {} on average, standard deviation between runs {:.1f} points.</p>", last.runs,
      PercentText(last.value), 100 * std::sqrt(square));
}

}  // namespace

std::string EvalSetup(const StageEval& eval) {
  const double problems = eval.Get("problems"), samples = eval.Get("samples"), temperature = eval.Get("temperature");
  if (std::isnan(problems)) return "";
  std::string text = CountText(problems) + " held-out problems";
  if (!std::isnan(samples)) text += " × " + CountText(samples) + " samples";
  if (!std::isnan(temperature)) text += " at temperature " + CompactText(temperature);
  return text;
}

std::string ResultsSection(const std::vector<RunGroup>& groups) {
  if (ColumnsOf(groups).empty()) return "";
  std::string setups, each, seeds;
  bool many = false;
  for (const RunGroup& group : groups) {
    for (const RunData* run : group) {
      for (const StageEval& eval : run->evals) {
        const std::string setup = EvalSetup(eval);
        if (!setup.empty() && setups.find(setup) == std::string::npos) setups += (setups.empty() ? "" : "; ") + setup;
      }
    }
    seeds += SeedsText(group);
    if (group.size() < 2) continue;
    many = true;
    for (const RunData* run : group) {
      each += "<details><summary>" + EscapeHtml(run->name) + "</summary>" + Table({RunGroup{run}}) + "</details>";
    }
  }
  return "<section id=\"results\"><h2>Results</h2>" + Table(groups) +
         (setups.empty()
              ? ""
              : "<p>" + EscapeHtml(setups) +
                    (many ? ". A cell has the mean over seeds ± one standard error (the larger of the spread "
                            "between seeds and the error of sampling), and the range.</p>"
                          : ". ± is one standard error; changes of shares are in points.</p>")) +
         seeds + each +
         "<p class=\"dim\">* DeepSeek-R1 (arXiv 2501.12948), the same stages of a far larger model on other tasks, in "
         "percent: they stand here for the shape of the effect, not as a comparison. Its first version gives R1-Zero "
         "71.0 on "
         "AIME 2024 (86.7 by majority of 64); the row has the revised figures.</p></section>";
}

}  // namespace r1
