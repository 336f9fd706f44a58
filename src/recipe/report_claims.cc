// Where our direction follows the paper's and where it does not. A claim is a change between two stages that the paper
// reports (figures of report_paper.h and the text of arXiv 2501.12948); ours is the change of the measure that asks
// something similar, with its standard error; the verdict is computed (report_stats.h).
#include <fmt/format.h>

#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_paper.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

enum class Unit { kPoints, kTokens };

struct Claim {
  const char* text;
  const char* paper;  // a benchmark of report_paper.h, whose figures are put in, or words
  const char* from;
  const char* to;
  const char* metric;
  const char* label;
  Direction direction;
  Unit unit = Unit::kPoints;
};

constexpr double kEqualMargin = 0.05;  // "equal" is only said when two standard errors are below this

constexpr Claim kClaims[] = {
    {"RL alone teaches the base model to reason", "AIME 2024", "base", "zero", "pass@1", "pass@1", Direction::kUp},
    {"Replies grow during RL", "from hundreds to many thousands of tokens", "base", "zero", "mean_tokens",
     "tokens per reply", Direction::kUp, Unit::kTokens},
    {"Reflection grows during RL", "counts of reflective words grow 5 to 7 times", "base", "zero", "reflection",
     "replies with reflection", Direction::kUp},
    {"The cold start costs accuracy against R1-Zero", "AIME 2024", "zero", "dev1", "pass@1", "pass@1",
     Direction::kDown},
    {"… but makes replies readable: fewer mix languages", "readable by construction; no number given", "zero", "dev1",
     "mixed", "mixed replies", Direction::kDown},
    {"… and more helpful", "AlpacaEval 2.0", "zero", "dev1", "helpful", "helpful", Direction::kUp},
    {"The first RL stage lifts reasoning", "AIME 2024", "dev1", "dev2", "pass@1", "pass@1", Direction::kUp},
    {"The first RL stage lifts code", "LiveCodeBench", "dev1", "dev2", "code@1", "code@1", Direction::kUp},
    {"The language reward keeps to one language", "consistency stays with it, falls without it", "dev2_nolang", "dev2",
     "mixed", "mixed replies", Direction::kDown},
    {"The language reward costs no mathematics", "mathematics equal (7B ablation)", "dev2_nolang", "dev2", "pass@1",
     "pass@1", Direction::kEqual},
    {"The language reward costs a little code", "code slightly worse (7B ablation)", "dev2_nolang", "dev2", "code@1",
     "code@1", Direction::kDown},
    {"Tuning the base anew on the model's own best replies loses no reasoning", "AIME 2024", "dev2", "dev3", "pass@1",
     "pass@1", Direction::kUp},
    {"… and makes it more helpful", "AlpacaEval 2.0", "dev2", "dev3", "helpful", "helpful", Direction::kUp},
    {"The last stage makes it helpful", "AlpacaEval 2.0", "dev3", "r1", "helpful", "helpful", Direction::kUp},
    {"The last stage does not cost reasoning", "AIME 2024", "dev3", "r1", "pass@1", "pass@1", Direction::kUp},
    {"R1 is better than R1-Zero in mathematics", "AIME 2024", "zero", "r1", "pass@1", "pass@1", Direction::kUp},
    {"R1 is better than R1-Zero in code", "LiveCodeBench", "zero", "r1", "code@1", "code@1", Direction::kUp},
    {"R1 mixes languages less than R1-Zero", "a stated aim; no number given", "zero", "r1", "mixed", "mixed replies",
     Direction::kDown},
};

// "AIME 2024: 77.9 → 59.0", or the claim's words.
std::string PaperText(const Claim& claim) {
  for (const PaperRow& row : kPaperRows) {
    const double from = PaperValue(row, claim.from), to = PaperValue(row, claim.to);
    if (std::string_view(row.benchmark) == claim.paper && from >= 0 && to >= 0) {
      return fmt::format("{}: {:.1f} → {:.1f}", row.benchmark, from, to);
    }
  }
  return claim.paper;
}

const char* Css(Verdict verdict) {
  if (verdict == Verdict::kFollows) return "right";
  return verdict == Verdict::kDiffers ? "wrong" : "noise";
}

const char* Arrow(Direction direction) {
  if (direction == Direction::kUp) return "↑";
  return direction == Direction::kDown ? "↓" : "=";
}

std::string Row(const std::string& text, const char* arrow, const std::string& paper, const std::string& ours,
                Verdict verdict) {
  return "<tr><th>" + text + "</th><td class=\"paper wrap\"><b>" + arrow + "</b> " + paper + "</td><td>" + ours +
         "</td><td><span class=\"chip " + Css(verdict) + "\">" + VerdictText(verdict) + "</span></td></tr>";
}

// "pass@1: 61.2 → 58.4 %" and under it the change with its error.
std::string OursHtml(const RunGroup& group, const Claim& claim, const Estimate& change) {
  const Estimate from = MetricOf(group, claim.from, claim.metric), to = MetricOf(group, claim.to, claim.metric);
  if (claim.unit == Unit::kTokens) {
    return fmt::format("{}: {:.1f} → {:.1f}<small>{}{}</small>", claim.label, from.value, to.value,
                       SignedText(change.value, change.error, 1), change.has_error() ? "" : ", no standard error");
  }
  return fmt::format("{}: {:.1f} → {:.1f} %<small>{} points{}</small>", claim.label, 100 * from.value, 100 * to.value,
                     PointsHtml(change), change.has_error() ? "" : ", no standard error");
}

// The lifts of students, and of running the last stage too long.
std::string FurtherRows(const RunGroup& group) {
  std::string rows;
  for (const Student& student : StudentsOf(group)) {
    const Estimate change = ChangeOf(group, student.rl, student.distilled, "pass@1");
    if (!change.known()) continue;
    const Claim claim{"", "", student.rl.c_str(), student.distilled.c_str(), "pass@1", "pass@1", Direction::kUp};
    rows += Row("Distilling a small model beats RL on it <small>" + EscapeHtml(student.name) + "</small>", "↑",
                fmt::format("{}, 32B: {:.1f} → {:.1f}", kPaperStudents[0].benchmark, kPaperStudents[0].rl,
                            kPaperStudents[0].distilled),
                OursHtml(group, claim, change), Judge(change, Direction::kUp, 0));
  }
  for (const RunData* run : group) {
    const StageLog* log = run->FindLog("overlong");
    if (log == nullptr) continue;
    Hacking worst;
    for (const char* metric : {"eval/pass@1", "eval/code@1", "eval/helpful"}) {
      const Hacking h = HackingOf(*log, "rewards/helpful/mean", metric);
      const bool larger =
          h.known && (!worst.known || h.held_out_from - h.held_out_to > worst.held_out_from - worst.held_out_to);
      if (larger) worst = h;
    }
    if (!worst.known) continue;
    const bool hacked = worst.reward_rose() && worst.held_out_fell();
    rows += Row("Too long with a reward model, the reward rises while quality falls" +
                    (group.size() > 1 ? " <small>" + EscapeHtml(run->label) + "</small>" : std::string()),
                "", "reward rises, Codeforces falls",
                fmt::format("score: {} → {}<small>held out, at worst: {:.1f} → {:.1f} %</small>",
                            NumberText(worst.reward_from, 2), NumberText(worst.reward_to, 2), 100 * worst.held_out_from,
                            100 * worst.held_out_to),
                hacked ? Verdict::kFollows : Verdict::kDiffers);
  }
  return rows;
}

std::string GroupClaims(const RunGroup& group) {
  std::string rows;
  int count[3] = {0, 0, 0};
  for (const Claim& claim : kClaims) {
    const Estimate change = ChangeOf(group, claim.from, claim.to, claim.metric);
    if (!change.known()) continue;
    const Verdict verdict = Judge(change, claim.direction, kEqualMargin);
    ++count[static_cast<int>(verdict)];
    rows += Row(claim.text, Arrow(claim.direction), PaperText(claim), OursHtml(group, claim, change), verdict);
  }
  if (count[0] + count[1] + count[2] < 4) return "";  // R1-Zero alone: its table of results says it
  rows += FurtherRows(group);
  return "<div class=\"scroll\"><table class=\"results left claims\"><thead><tr><th>claim</th><th>the "
         "paper</th><th>ours</th><th>direction</th></tr></thead><tbody>" +
         rows +
         "</tbody></table></div><p class=\"dim\">Only directions are compared: the tasks and the size of the models "
         "differ. "
         "Within noise: the change is less than two standard errors. Where an evaluation gives no error, its upper "
         "bound "
         "√(p(1−p)/problems) is used for shares; where there is none at all, the sign decides. “=” follows if the "
         "change is not "
         "significant and could have been seen from 5 points on.</p>";
}

}  // namespace

std::string ClaimsSection(const std::vector<RunGroup>& groups) {
  return SectionOf("claims", "The paper's directions and ours", groups, GroupClaims);
}

}  // namespace r1
