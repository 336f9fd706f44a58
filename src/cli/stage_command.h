// Commands that run one stage (r1 pretrain, sft, rl, rm, sample, distill): each is a recipe of one or two stages, so
// that resume, lineage, settings and reports are those of `r1 run`.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "recipe/recipe.h"

namespace r1::cli {

// What a stage reads besides the model, as options.
struct StageFlags {
  std::string data, helpful, harmless, teacher, traces, endpoint, endpoint_model, endpoint_key_env;
  std::string kind = "helpful", method = "text";
};
struct StageFlag {
  const char* name;
  std::string StageFlags::*place;
  const char* help;
};

struct StageCommandSpec {
  Command command;                // name, texts, examples, positionals
  std::vector<StageFlag> flags;   // those that this command has
  std::vector<const char*> hide;  // settings that the flags decide
  // The stages for a model folder, in order. The first positional is the model that is trained or sampled. Errors are
  // of kind kUsage.
  // "" for a command that makes a model (no positional; it has the settings of model and tokenizer).
  std::function<std::vector<RecipeStage>(const std::string& model, const StageFlags& flags)> stages;
  // Refuses flags that do not go together, before anything else is looked at; null if there is nothing to refuse.
  std::function<Status(const StageFlags& flags)> check;
};
Command MakeStageCommand(StageCommandSpec spec);

}  // namespace r1::cli
