// r1 run: all stages of a recipe, from random weights to the report.
#include "cli/commands.h"
#include "cli/recipe_run.h"

namespace r1::cli {
namespace {

// Settings of the recipe's stages, as options of the command.
Result<FieldList> RecipeSettings(const std::string& name, const std::shared_ptr<Recipe>& shown) {
  R1_ASSIGN(const std::string path, FindRecipe(name));
  R1_ASSIGN(*shown, LoadRecipe(path, {}));
  return RecipeFields(*shown);
}

Result<Recipe> Load(const Invocation& invocation) {
  R1_ASSIGN(const std::string path, FindRecipe(invocation.positionals[0]));
  return LoadRecipe(path, invocation.overrides);
}

}  // namespace

Command RunCommand() {
  Command command;
  command.name = "run";
  command.group = "Train";
  command.summary = "train a model from nothing until it thinks: all stages of a recipe, resumable";
  command.description =
      "Runs the stages of a recipe one after the other into a run folder, then writes results.json and report.html. "
      "What is done is "
      "kept: the same command goes on after a Ctrl-C, a crash or a power cut, to the same bytes as if nothing had "
      "happened, and does "
      "nothing if all is done.\n\n"
      "A recipe is a TOML file; a bare name is looked for in recipes/. Each of its settings can be changed on the "
      "command line, that of "
      "a stage with the stage's name in front: 'r1 run RECIPE --help' lists them, 'r1 run RECIPE --dry-run' prints the "
      "recipe that would be run.";
  command.examples = {
      {"r1 run mini-zero", "R1-Zero in miniature: base model, reinforcement learning, measurements, report"},
      {"r1 run mini-zero --explain", "what it will do and how long that takes here, without doing it"},
      {"r1 run recipes/mini-zero.toml --seed 1 --zero.max-steps 50 --output-dir runs/short",
       "another seed, a shorter second half"},
      {"r1 run mini-zero --model.preset mini-dense", "the same story with a dense model"}};
  command.positionals = {{"RECIPE", "a recipe file, or the name of one in recipes/"}};
  command.reports = true;
  const auto settings = std::make_shared<RunSettings>();
  const auto shown = std::make_shared<Recipe>();
  command.fields = [settings] { return CollectFields(*settings); };
  command.more_fields = [shown](const std::string& name) { return RecipeSettings(name, shown); };
  command.run = [settings](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe recipe, Load(invocation));
    return RunRecipeCommand(recipe, *settings, invocation);
  };
  command.dry_run = [settings](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe recipe, Load(invocation));
    return DryRunRecipe(recipe, *settings, invocation);
  };
  return command;
}

}  // namespace r1::cli
