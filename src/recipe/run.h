// Runs a recipe: stage by stage into a run folder, each resumable, then results.json and report.html.
//   RUN/{recipe.toml, tokenizer.json, manifest.json, results.json, report.html}   RUN/STAGE/{metrics.jsonl,
//   completions/, checkpoint-N/} RUN/EVAL_STAGE/{eval.json, traces.jsonl}
#pragma once

#include <string>

#include "recipe/recipe.h"

namespace r1 {

struct RunOptions {
  std::string output_dir;  // empty: runs/NAME-seedS
  int64_t threads = 0;     // 0: all cores
  bool quiet = false;      // no plan and traces on stdout (for --json)
  std::string command;     // as typed, for the manifest
};

struct RunOutcome {
  std::string folder;
  std::string results_path, report_path;
};

// What will be done: model, parameters, memory, tokens and updates of each stage, expected time (from a short
// measurement on this machine).
Result<std::string> PlanText(Recipe& recipe, int64_t threads);
Result<RunOutcome> RunRecipe(Recipe& recipe, const RunOptions& options);
// The folder that RunRecipe would use.
std::string RunFolder(const Recipe& recipe, const RunOptions& options);

}  // namespace r1
