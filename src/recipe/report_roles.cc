#include "recipe/report_roles.h"

#include <algorithm>
#include <set>

namespace r1 {
namespace {

bool EndsWith(const std::string& text, std::string_view tail) {
  return text.size() > tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

// The name of the evaluation of a stage's weights; "" if none.
std::string EvalNameOf(const RunData& run, const std::string& stage) {
  const StageEval* eval = run.EvalOfModel(stage);
  return eval == nullptr ? "" : eval->name;
}

}  // namespace

std::vector<Student> StudentsOf(const RunGroup& group) {
  constexpr std::string_view kTail = "_distill";
  std::vector<Student> students;
  const auto add = [&](const std::string& name) {
    if (!EndsWith(name, kTail)) return;
    const std::string head = name.substr(0, name.size() - kTail.size());
    const bool known = std::any_of(students.begin(), students.end(), [&](const Student& s) { return s.name == head; });
    if (!known) students.push_back({head, head + "_base", name, head + "_rl"});
  };
  for (const RunData* run : group) {
    for (const PipelineStage& stage : run->pipeline) {
      if (stage.kind != "eval") add(stage.name);
    }
    for (const StageEval& eval : run->evals) add(eval.name);
  }
  return students;
}

std::vector<Comparison> ComparisonsOf(const RunGroup& group) {
  std::vector<Comparison> found;
  const RunData& run = *group[0];
  std::set<std::string> bases;
  for (const PipelineStage& first : run.pipeline) {
    if (first.kind != "rl" || first.algorithm.empty() || !bases.insert(first.model).second) continue;
    Comparison comparison{first.model, {}};
    std::set<std::string> algorithms;
    for (const PipelineStage& stage : run.pipeline) {
      if (stage.kind != "rl" || stage.model != first.model || stage.algorithm.empty()) continue;
      comparison.stages.push_back(stage.name);
      algorithms.insert(stage.algorithm);
    }
    if (algorithms.size() > 1) found.push_back(std::move(comparison));
  }
  return found;
}

std::vector<BaseCell> BaseGridOf(const RunGroup& group) {
  std::vector<BaseCell> cells;
  const RunData& run = *group[0];
  std::set<std::string> reasoning;
  for (const PipelineStage& stage : run.pipeline) {
    if (stage.kind != "rl") continue;
    const PipelineStage* base = run.FindStage(stage.model);
    if (base == nullptr || base->kind != "pretrain" || base->reasoning.empty()) continue;
    reasoning.insert(base->reasoning);
    cells.push_back({base->name, stage.name, base->preset, base->reasoning});
  }
  if (reasoning.size() < 2) cells.clear();
  return cells;
}

std::vector<std::string> MainEvals(const RunGroup& group) {
  std::set<std::string> elsewhere = {"dev2_nolang", "overlong"};
  for (const Student& student : StudentsOf(group)) elsewhere.insert({student.base, student.distilled, student.rl});
  for (const RunData* run : group) {
    for (const Comparison& comparison : ComparisonsOf(group)) {
      for (const std::string& stage : comparison.stages) elsewhere.insert(EvalNameOf(*run, stage));
    }
    for (const BaseCell& cell : BaseGridOf(group)) {
      elsewhere.insert({EvalNameOf(*run, cell.base), EvalNameOf(*run, cell.rl)});
    }
  }
  std::vector<std::string> names;
  for (const RunData* run : group) {
    for (const StageEval& eval : run->evals) {
      const bool known = std::find(names.begin(), names.end(), eval.name) != names.end();
      if (!known && elsewhere.count(eval.name) == 0) names.push_back(eval.name);
    }
  }
  if (names.size() == 1 && !ComparisonsOf(group).empty()) names.clear();  // the base stands in the comparison's table
  return names;
}

std::string StageTitle(const std::string& stage) {
  static constexpr std::pair<const char*, const char*> kTitles[] = {
      {"base", "Base"},
      {"zero", "R1-Zero"},
      {"dev1", "Dev1"},
      {"dev2", "Dev2"},
      {"dev2_nolang", "Dev2, no language reward"},
      {"dev3", "Dev3"},
      {"r1", "R1"},
      {"pretrain", "Base"},
      {"cold", "Cold-start data"},
      {"reject", "Rejection sampling"},
      {"prefs", "Preferences"},
      {"rm_helpful", "Helpfulness model"},
      {"rm_safety", "Safety model"},
      {"overlong", "R1, run too long"},
      {"traces", "Teacher's traces"},
  };
  for (const auto& [name, title] : kTitles) {
    if (stage == name) return title;
  }
  return stage;
}

}  // namespace r1
