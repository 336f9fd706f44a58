// A recipe: the stages of a run, as TOML.
//   name = "mini-zero"          seed = 0
//   [model]                     preset = "mini-v3"; any field of the model config overrides it
//   [corpus]                    name = "pick" or "wide" (world/corpus.h)
//   [tokenizer]                 documents = 20000
//   [curve]                     problems, samples of the evaluation inside RL stages (their eval_steps)
//   [[stage]]                   name = "pretrain", kind = "pretrain", settings...
//   [[stage]]                   name = "zero", kind = "rl", model = "pretrain", settings...
//   [[stage]]                   name = "eval_zero", kind = "eval", model = "zero", settings...
// Kinds and what they take besides settings (an earlier stage's name, or a folder or file):
//   pretrain     preset: a model of its own size; reasoning: share of the corpus's thinking documents that is kept
//   sft          model, data (comma list of sample stages or JSONL files); teacher (logit distillation)
//   rl           model; helpful, harmless: reward models; data: files of problems, for a task mix with data
//   sample       model: rejection sampling of its replies; or traces_file (a JSONL file of recorded ones), or endpoint
//   (an
//                OpenAI-compatible base address) with endpoint_model and endpoint_key_env
//   preferences  model: replies labelled by the hidden rules, as pairs and as safety examples
//   rm           model (its body), data
//   eval         model
// On the command line a stage's settings have its name as prefix: --zero.max_steps 100.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/fields.h"
#include "distill/sample.h"
#include "eval/world_eval.h"
#include "model/config.h"
#include "recipe/preferences.h"
#include "rl/config.h"
#include "train/pretrain.h"
#include "train/reward_model.h"
#include "train/sft.h"

namespace r1 {

// What a stage reads from other stages. "" where there is none.
struct StageInputs {
  std::string model, data, helpful, harmless, teacher, preset;
  std::string traces, endpoint, endpoint_model, endpoint_key_env;
  double reasoning = 1.0;
};

struct RecipeStage {
  std::string name;
  std::string kind;
  StageInputs in;
  std::variant<PretrainConfig, SftConfig, RlConfig, SampleConfig, PreferencesConfig, RewardModelConfig, EvalConfig>
      settings;
};

struct Recipe {
  std::string name = "run";
  int64_t seed = 0;
  std::string preset = "mini-v3";
  ModelConfig model;
  std::string corpus = "pick";
  int64_t tokenizer_documents = 20000;
  int64_t curve_problems = 100;
  int64_t curve_samples = 4;
  std::vector<std::unique_ptr<RecipeStage>> stages;

  const RecipeStage* Find(const std::string& stage) const;
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
// Its [[stage]] tables alone.
std::string StagesToToml(Recipe& recipe);

// Text of the settings that shape a stage's result; settings of speed and saving are left out.
std::string ShapingText(RecipeStage& stage);

// The names in a comma list, without spaces around them and without empty ones.
std::vector<std::string> SplitList(const std::string& list);

}  // namespace r1
