// Which stages of a run play which part on the page.
//   student     names that begin with P where the run has P_distill: P_base, P_distill, P_rl
//   comparison  rl stages of the pipeline that start from one model and use at least two algorithms
//   base grid   rl stages that start from one of several pretrain stages, whose "reasoning" differs
//   the others  in the order of the recipe; the stages that have a section of their own (dev2_nolang, overlong) are not
//               among them
#pragma once

#include <string>
#include <vector>

#include "recipe/report_stats.h"

namespace r1 {

struct Student {
  std::string name;                 // P
  std::string base, distilled, rl;  // stages and evaluations
};

struct Comparison {
  std::string base;                 // the stage that all start from
  std::vector<std::string> stages;  // in the order of the recipe
};

struct BaseCell {
  std::string base, rl;  // stages
  std::string preset, reasoning;
};

std::vector<Student> StudentsOf(const RunGroup& group);
std::vector<Comparison> ComparisonsOf(const RunGroup& group);
std::vector<BaseCell> BaseGridOf(const RunGroup& group);
// Names of the evaluations of the main line.
std::vector<std::string> MainEvals(const RunGroup& group);

// "base" -> "Base", "zero" -> "R1-Zero", "dev1" -> "Dev1", ...; others as they are.
std::string StageTitle(const std::string& stage);

}  // namespace r1
