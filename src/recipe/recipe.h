// A recipe: the stages of a run, as TOML.
//   name = "mini-zero"          seed = 0
//   [model]                     preset = "mini-v3"; any field of the model config overrides it
//   [tokenizer]                 documents = 20000
//   [[stage]]                   name = "pretrain", kind = "pretrain", settings...
//   [[stage]]                   name = "zero", kind = "rl", model = "pretrain", settings...
//   [[stage]]                   name = "eval_zero", kind = "eval", model = "zero", settings...
// Kinds: pretrain (train/pretrain.h), rl (rl/config.h), eval (eval/world_eval.h). A stage's model is the name of an
// earlier stage or a model folder. On the command line a stage's settings have its name as prefix: --zero.max_steps
// 100.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/fields.h"
#include "eval/world_eval.h"
#include "model/config.h"
#include "rl/config.h"
#include "train/pretrain.h"

namespace r1 {

struct RecipeStage {
  std::string name;
  std::string kind;   // pretrain, rl, eval
  std::string model;  // input stage or folder; empty for pretrain
  std::variant<PretrainConfig, RlConfig, EvalConfig> settings;
};

struct Recipe {
  std::string name = "run";
  int64_t seed = 0;
  std::string preset = "mini-v3";
  ModelConfig model;
  int64_t tokenizer_documents = 20000;
  std::vector<std::unique_ptr<RecipeStage>> stages;
};

// overrides: (dotted key, text) from the command line, applied after the file; "model.preset" chooses the preset that
// the other model fields start from. Unknown keys, wrong types and impossible values are errors that name file and key.
Result<Recipe> ParseRecipe(const std::string& toml, const std::string& where,
                           const std::vector<std::pair<std::string, std::string>>& overrides);
Result<Recipe> LoadRecipe(const std::string& path, const std::vector<std::pair<std::string, std::string>>& overrides);

// Every setting with its dotted name; pointers into the recipe.
FieldList RecipeFields(Recipe& recipe);
FieldList StageFields(RecipeStage& stage);
// The resolved recipe, which reads back to the same one.
std::string RecipeToToml(Recipe& recipe);

// Text of the settings that shape a stage's result; settings of speed and saving are left out.
std::string ShapingText(RecipeStage& stage);

}  // namespace r1
