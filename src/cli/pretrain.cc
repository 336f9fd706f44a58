// r1 pretrain: a base model from random weights, on the built-in world's corpus. A recipe of one stage.
#include "cli/commands.h"
#include "cli/recipe_run.h"

namespace r1::cli {
namespace {

constexpr const char* kRecipe = "name = \"pretrain\"\n[[stage]]\nname = \"pretrain\"\nkind = \"pretrain\"\n";

struct PretrainCommandConfig {
  RunSettings run;
  Recipe recipe;  // name, seed, preset, model, tokenizer
  PretrainConfig pretrain;

  template <class V>
  void Fields(V& v) {
    run.Fields(v);
    v("seed", recipe.seed, "of everything random: the same seed gives the same bytes");
    pretrain.Fields(v);
    for (Field& field : RecipeFields(recipe)) {
      if (field.name != "name" && field.name != "seed") fields.push_back(field);
    }
  }
  FieldList fields;
};

}  // namespace

Command PretrainCommand() {
  Command command;
  return command;
}

}  // namespace r1::cli
