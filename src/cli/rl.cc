// r1 rl: reinforcement learning with rule rewards on a model that is there. It is a recipe of one stage.
#include "base/check.h"
#include "base/config.h"
#include "base/files.h"
#include "base/quote.h"
#include "cli/commands.h"
#include "cli/recipe_run.h"
#include "recipe/run.h"
#include "train/run_files.h"

namespace r1::cli {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20, kMaxTokenizerBytes = int64_t{256} << 20;

Result<Recipe> MakeRecipe(std::string model, const std::vector<std::pair<std::string, std::string>>& overrides) {
  FieldList stage = {{"model", &model, ""}};
  return ParseRecipe("name = \"rl\"\n[[stage]]\nname = \"rl\"\nkind = \"rl\"\n" + FieldsToToml(stage, false),
                     "settings", overrides);
}

// The preset with these sizes, the vocabulary aside; if there is none, `fallback`, from which every size then differs.
std::string PresetOf(ModelConfig model, const std::string& fallback) {
  for (const std::string& name : ModelPresetNames()) {
    Result<ModelConfig> preset = ModelPreset(name);
    if (!preset.ok()) continue;
    preset->vocab_size = model.vocab_size;
    if (FieldsText(CollectFields(*preset)) == FieldsText(CollectFields(model))) return name;
  }
  return fallback;
}

// The recipe with the settings of this command line, for the model's own architecture.
Result<Recipe> Resolve(const std::string& folder, const RunSettings& settings, const std::shared_ptr<Recipe>& shown,
                       const Invocation& invocation) {
  RunSettings copy = settings;
  R1_ASSIGN(Recipe recipe,
            MakeRecipe(folder, StageOverrides("rl", StageCommandFields(copy, *shown, false), invocation.given)));
  const std::string config_path = JoinPath(folder, "config.json");
  R1_ASSIGN(const std::string config, ReadFile(config_path, kMaxConfigBytes));
  R1_ASSIGN(recipe.model, ModelConfigFromJson(config, config_path));
  recipe.preset = PresetOf(recipe.model, recipe.preset);
  return recipe;
}

// The run uses the model's tokenizer: it is put where the run looks for its own.
Status PlaceTokenizer(const std::string& model_folder, const std::string& run_folder) {
  R1_ASSIGN(const std::string wanted, ReadFile(JoinPath(model_folder, "tokenizer.json"), kMaxTokenizerBytes));
  const std::string path = JoinPath(run_folder, "tokenizer.json");
  if (!Exists(path)) {
    R1_TRY(MakeDirs(run_folder));
    return WriteFileAtomic(path, wanted);
  }
  R1_ASSIGN(const std::string there, ReadFile(path, kMaxTokenizerBytes));
  if (there == wanted) return {};
  return Error{ErrorCode::kRefused, path + " is not the tokenizer of " + model_folder + "; give another --output-dir"};
}

}  // namespace

Command RlCommand() {
  Command command;
  command.name = "rl";
  command.group = "Train";
  command.summary = "make a model think by reinforcement learning with rule rewards (GRPO)";
  command.description =
      "Samples groups of answers to training problems, rewards right and well-formed ones, and moves the model towards "
      "what did "
      "better than the rest of its group. Checkpoints, metrics and the answers themselves are left in RUN/rl. The same "
      "command goes on "
      "where it stopped. The settings have the names of TRL's GRPO trainer.";
  command.examples = {
      {"r1 rl runs/base/pretrain --output-dir runs/zero", "R1-Zero from the newest checkpoint of a base model"},
      {"r1 rl runs/base/pretrain --output-dir runs/kl --beta 0.04 --num-generations 16",
       "with a KL penalty and larger groups"}};
  command.positionals = {{"MODEL", "a model folder, a checkpoint, or a stage folder of a run (its newest checkpoint)"}};
  command.reports = true;
  const auto settings = std::make_shared<RunSettings>();
  Result<Recipe> made = MakeRecipe(".", {});
  R1_CHECK(made.ok(), made.ok() ? "" : made.error().message);
  const auto shown = std::make_shared<Recipe>(std::move(*made));
  command.fields = [settings, shown] { return StageCommandFields(*settings, *shown, false); };
  command.run = [settings, shown](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(const std::string folder, ResolveModelFolder(invocation.positionals[0]));
    R1_ASSIGN(Recipe recipe, Resolve(folder, *settings, shown, invocation));
    RunOptions options;
    options.output_dir = settings->output_dir;
    R1_TRY(PlaceTokenizer(folder, RunFolder(recipe, options)));
    return RunRecipeCommand(recipe, *settings, invocation);
  };
  command.dry_run = [settings, shown](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(const std::string folder, ResolveModelFolder(invocation.positionals[0]));
    R1_ASSIGN(Recipe recipe, Resolve(folder, *settings, shown, invocation));
    return DryRunRecipe(recipe, *settings, invocation);
  };
  return command;
}

}  // namespace r1::cli
