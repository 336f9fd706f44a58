// r1 pretrain: a base model from random weights, on the built-in world's corpus. It is a recipe of one stage.
#include "base/check.h"
#include "cli/commands.h"
#include "cli/recipe_run.h"

namespace r1::cli {
namespace {

Result<Recipe> MakeRecipe(const std::vector<std::pair<std::string, std::string>>& overrides) {
  return ParseRecipe("name = \"pretrain\"\n[[stage]]\nname = \"pretrain\"\nkind = \"pretrain\"\n", "settings",
                     overrides);
}

}  // namespace

Command PretrainCommand() {
  Command command;
  command.name = "pretrain";
  command.group = "Train";
  command.summary = "train a base model from random weights on the built-in world's corpus";
  command.description =
      "Trains tokenizer and model and leaves checkpoints in RUN/pretrain, as stock Hugging Face files beside what a "
      "resume needs. The same "
      "command goes on where it stopped. 'r1 run mini-zero' does this and what follows.";
  command.examples = {
      {"r1 pretrain --output-dir runs/base", "the model of the built-in demonstration"},
      {"r1 pretrain --output-dir runs/dense --model.preset mini-dense --max-steps 1000 --learning-rate 3e-3",
       "a dense model, shorter"}};
  command.reports = true;
  const auto settings = std::make_shared<RunSettings>();
  Result<Recipe> made = MakeRecipe({});
  R1_CHECK(made.ok(), made.ok() ? "" : made.error().message);
  const auto recipe = std::make_shared<Recipe>(std::move(*made));
  command.fields = [settings, recipe] { return StageCommandFields(*settings, *recipe, true); };
  const auto resolved = [settings, recipe](const Invocation& invocation) {
    return MakeRecipe(StageOverrides("pretrain", StageCommandFields(*settings, *recipe, true), invocation.given));
  };
  command.run = [settings, resolved](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe final_recipe, resolved(invocation));
    return RunRecipeCommand(final_recipe, *settings, invocation);
  };
  command.dry_run = [settings, resolved](const Invocation& invocation) -> Result<int> {
    R1_ASSIGN(Recipe final_recipe, resolved(invocation));
    return DryRunRecipe(final_recipe, *settings, invocation);
  };
  return command;
}

}  // namespace r1::cli
