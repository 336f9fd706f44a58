// What the commands that train share: run, pretrain and rl all run a recipe, the last two one of a single stage.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fields.h"
#include "cli/command.h"
#include "recipe/recipe.h"

namespace r1::cli {

struct RunSettings {
  std::string output_dir;
  int64_t threads = 0;
  bool explain = false;

  template <class V>
  void Fields(V& v) {
    v("output_dir", output_dir,
      "folder of the run; if it is there, the run goes on where it stopped. If not given: runs/NAME-seedSEED");
    v("threads", threads, "threads to compute with; 0: all cores. Changes the speed only, never the result");
    v("explain", explain,
      "only print the plan and stop: sizes, memory, tokens and updates of each stage, expected time on this machine");
  }
};

// Prints the plan, runs, prints the report's place; with --json only the results. With `explain` only the plan.
Result<int> RunRecipeCommand(Recipe& recipe, const RunSettings& settings, const Invocation& invocation);
// Prints the resolved recipe.
Result<int> DryRunRecipe(Recipe& recipe, const RunSettings& settings, const Invocation& invocation);

// Where a recipe named on the command line is: the path itself, else recipes/NAME.toml here, beside the program's build
// folder, or where `make install` puts recipes. Error kBadInput names the near ones.
Result<std::string> FindRecipe(const std::string& name);

}  // namespace r1::cli
