#include "cli/stage_command.h"

#include <algorithm>
#include <memory>

#include "base/config.h"
#include "base/files.h"
#include "cli/recipe_run.h"
#include "train/run_files.h"

namespace r1::cli {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;

// Everything a command's options are stored in.
struct State {
  StageCommandSpec spec;
  RunSettings settings;
  StageFlags flags;
  Recipe shown;  // its stages hold the settings
};

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

bool MakesModel(const State& state) { return state.spec.command.positionals.empty(); }

std::vector<std::unique_ptr<RecipeStage>> MakeStages(const State& state, const std::string& model) {
  std::vector<std::unique_ptr<RecipeStage>> stages;
  for (RecipeStage& stage : state.spec.stages(model, state.flags))
    stages.push_back(std::make_unique<RecipeStage>(std::move(stage)));
  return stages;
}

bool IsHidden(const State& state, const std::string& name) {
  return std::any_of(state.spec.hide.begin(), state.spec.hide.end(), [&](const char* h) { return name == h; });
}

// Options of the command: those of the run, the flags, the settings of its stages without the stage's name, and what of
// the recipe matters to a model that is there.
FieldList Options(State& state) {
  FieldList fields = CollectFields(state.settings);
  for (const StageFlag& flag : state.spec.flags) fields.push_back({flag.name, &(state.flags.*flag.place), flag.help});
  for (Field& field : RecipeFields(state.shown)) {
    const size_t dot = field.name.find('.');
    const std::string table = dot == std::string::npos ? "" : field.name.substr(0, dot);
    if (!MakesModel(state) && (table == "model" || table == "tokenizer")) continue;
    if (state.shown.Find(table) != nullptr) {
      field.name.erase(0, dot + 1);
      if (IsHidden(state, field.name) || FindField(fields, field.name) != nullptr) continue;
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

// What was given on the command line or in a file, as overrides of the recipe: a setting goes to every stage that has
// it.
std::vector<std::pair<std::string, std::string>> Overrides(State& state, const std::vector<std::string>& given) {
  std::vector<std::pair<std::string, std::string>> overrides;
  const FieldList options = Options(state), own = CollectFields(state.settings), all = RecipeFields(state.shown);
  for (const std::string& name : given) {
    const Field* field = FindField(options, name);
    const bool flag = std::any_of(state.spec.flags.begin(), state.spec.flags.end(),
                                  [&](const StageFlag& f) { return field != nullptr && field->name == f.name; });
    if (field == nullptr || flag || FindField(own, name) != nullptr) continue;
    for (const auto& stage : state.shown.stages) {
      const std::string full = stage->name + "." + field->name;
      if (FindField(all, full) != nullptr) overrides.emplace_back(full, FieldText(*field));
    }
    if (FindField(all, field->name) != nullptr) overrides.emplace_back(field->name, FieldText(*field));
  }
  return overrides;
}

Result<Recipe> Resolve(State& state, const Invocation& invocation) {
  if (state.spec.check) R1_TRY(state.spec.check(state.flags));
  std::string folder;
  if (!MakesModel(state)) {
    R1_ASSIGN(folder, ResolveModelFolder(invocation.positionals[0]));
  }
  Recipe asked;
  asked.stages = MakeStages(state, folder);
  // Through the text, so that the checks are those of a recipe file.
  R1_ASSIGN(Recipe recipe, ParseRecipe("name = \"" + state.spec.command.name + "\"\n" + StagesToToml(asked), "settings",
                                       Overrides(state, invocation.given)));
  if (MakesModel(state)) return Result<Recipe>(std::move(recipe));
  const std::string config_path = JoinPath(folder, "config.json");
  R1_ASSIGN(const std::string config, ReadFile(config_path, kMaxConfigBytes));
  R1_ASSIGN(recipe.model, ModelConfigFromJson(config, config_path));
  recipe.preset = PresetOf(recipe.model, recipe.preset);
  return Result<Recipe>(std::move(recipe));
}

}  // namespace

Command MakeStageCommand(StageCommandSpec spec) {
  const auto state = std::make_shared<State>();
  state->spec = std::move(spec);
  state->shown.name = state->spec.command.name;
  state->shown.stages = MakeStages(*state, "");  // only their settings are looked at

  Command command = state->spec.command;
  command.reports = true;
  command.fields = [state] { return Options(*state); };
  command.run = [state](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe recipe, Resolve(*state, invocation));
    return RunRecipeCommand(recipe, state->settings, invocation);
  };
  command.dry_run = [state](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe recipe, Resolve(*state, invocation));
    return DryRunRecipe(recipe, state->settings, invocation);
  };
  return command;
}

}  // namespace r1::cli
