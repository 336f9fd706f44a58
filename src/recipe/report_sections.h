// The parts of the report page, each a piece of finished HTML (or "" when the runs have nothing for
// it).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "recipe/report_data.h"
#include "recipe/report_roles.h"
#include "recipe/report_stats.h"
#include "recipe/report_svg.h"

namespace r1 {

// <section> around what `part` gives for each group, with the groups' titles if there are several; "" if it gives
// nothing.
std::string SectionOf(const char* id, const char* title, const std::vector<RunGroup>& groups,
                      const std::function<std::string(const RunGroup&)>& part);

// report_graph.cc
std::string PipelineSection(const std::vector<RunGroup>& groups);
// The CSS class of a stage's kind: "pretrain", "sft", "rl", "sample", "rm" or "other".
const char* KindClass(const std::string& kind);

// report_results.cc
std::string ResultsSection(const std::vector<RunGroup>& groups);
std::string EvalSetup(const StageEval& eval);  // "500 held-out problems × 16 samples at temperature 1"; "" if not known

// report_claims.cc: our direction beside the paper's.
std::string ClaimsSection(const std::vector<RunGroup>& groups);

// report_language.cc: mixing by stage, what the language reward costs.
std::string LanguageSection(const std::vector<RunGroup>& groups);

// report_last_stage.cc: before and after the stage with reward models, the reward models, and running it too long.
std::string LastStageSection(const std::vector<RunGroup>& groups);
// Did the reward of the model rise while the held-out measure fell? The measure is a mean of three evaluations in a
// row: the best such against the last; the reward is smoothed. Needs three evaluations.
struct Hacking {
  bool known = false;
  double from_step = 0, to_step = 0;
  double reward_from = kMissing, reward_to = kMissing, held_out_from = kMissing, held_out_to = kMissing;
  bool reward_rose() const { return reward_to > reward_from; }
  bool held_out_fell() const { return held_out_from - held_out_to >= 0.02; }
};
Hacking HackingOf(const StageLog& log, std::string_view reward, std::string_view held_out);

// report_students.cc: distillation against RL on small models.
std::string StudentsSection(const std::vector<RunGroup>& groups);

// report_cost.cc: with thinking against direct answers.
std::string CostSection(const std::vector<RunGroup>& groups);

// report_compare.cc: algorithms from one base; bases under one algorithm.
std::string AlgorithmsSection(const std::vector<RunGroup>& groups);
std::string BasesSection(const std::vector<RunGroup>& groups);

// report_notes.cc
std::string HeaderSection(const std::vector<RunGroup>& groups);
std::string HonestySection(const std::vector<RunData>& runs);
std::string LineageSection(const std::vector<RunData>& runs);

// report_traces.cc
std::string TracesSection(const std::vector<RunData>& runs);
std::string CompletionsSection(const std::vector<RunData>& runs);
// One reply with thinking that folds, words of reflection and verdicts marked, tags visible.
std::string ReplyHtml(const std::string& reply);

}  // namespace r1
