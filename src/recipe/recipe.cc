#include "recipe/recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/config.h"
#include "base/files.h"
#include "base/toml.h"

namespace r1 {

namespace {

constexpr int64_t kMaxRecipeBytes = int64_t{1} << 20;
constexpr int64_t kWorldPositions = 131;  // the world's longest document: a search of ten tries
constexpr int64_t kPromptPositions = 16;  // and its longest prompt
constexpr const char* kNotShaping[] = {"save_steps", "save_total_limit", "log_completions_steps", "eval_steps",
                                       "slots"};

Error Bad(const std::string& where, const std::string& what) { return Error{ErrorCode::kUsage, where + ": " + what}; }

// A name that is a folder and a prefix of settings.
bool GoodName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name != "model" && name != "tokenizer" &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

Result<std::string> TakeString(nlohmann::ordered_json& table, const char* key, const std::string& where) {
  if (!table.contains(key)) return std::string();
  if (!table[key].is_string()) return Bad(where, std::string("'") + key + "' must be a string");
  std::string value = table[key].get<std::string>();
  table.erase(key);
  return value;
}

// Better refused now than when the stages before it are done.
Status ValidatePositions(const RecipeStage& stage, int64_t positions, const std::string& at) {
  if (positions < kWorldPositions) {
    return Error{ErrorCode::kRefused, at + ": model.max_position_embeddings is " + std::to_string(positions) +
                                          ", but the world's texts need " + std::to_string(kWorldPositions)};
  }
  int64_t reply = 0;
  if (const auto* p = std::get_if<RlConfig>(&stage.settings)) reply = p->max_completion_length;
  if (const auto* p = std::get_if<EvalConfig>(&stage.settings)) reply = p->max_completion_length;
  if (reply <= positions - kPromptPositions) return {};
  return Error{ErrorCode::kRefused, at + ": max_completion_length is " + std::to_string(reply) +
                                        "; with its prompt it does not fit in model.max_position_embeddings, " +
                                        std::to_string(positions)};
}

Status Validate(Recipe& r, const std::string& where) {
  ModelConfig model = r.model;
  if (model.vocab_size == 0) model.vocab_size = 32;  // from the tokenizer later
  R1_TRY(ValidateModelConfig(model, where + ": [model]"));
  if (r.seed < 0) return Error{ErrorCode::kRefused, where + ": seed must not be negative"};
  if (r.tokenizer_documents < 100 || r.tokenizer_documents > 10'000'000)
    return Error{ErrorCode::kRefused, where + ": tokenizer.documents must be in 100 .. 10000000"};
  std::set<std::string> seen, own;  // own: stages whose model is that of this recipe
  for (const auto& stage : r.stages) {
    const std::string at = where + ": stage '" + stage->name + "'";
    if (stage->kind == "pretrain" && !stage->model.empty())
      return Bad(at, "a pretrain stage starts from random weights and takes no 'model'");
    if (stage->kind != "pretrain" && !seen.contains(stage->model) && !IsDir(stage->model)) {
      return Bad(at, "its model '" + stage->model + "' is neither an earlier stage nor a folder");
    }
    if (const auto* p = std::get_if<PretrainConfig>(&stage->settings)) R1_TRY(ValidatePretrainConfig(*p, at));
    if (const auto* p = std::get_if<RlConfig>(&stage->settings)) R1_TRY(ValidateRlConfig(*p, at));
    if (const auto* p = std::get_if<EvalConfig>(&stage->settings)) R1_TRY(ValidateEvalConfig(*p, at));
    if (const bool own_model = stage->kind == "pretrain" || own.contains(stage->model); own_model) {
      R1_TRY(ValidatePositions(*stage, r.model.max_position_embeddings, at));
      own.insert(stage->name);
    }
    if (stage->kind != "eval") seen.insert(stage->name);
  }
  return {};
}

}  // namespace

FieldList StageFields(RecipeStage& stage) {
  return std::visit([](auto& settings) { return CollectFields(settings); }, stage.settings);
}

FieldList RecipeFields(Recipe& recipe) {
  FieldList list;
  list.push_back({"name", &recipe.name, "name of the run"});
  list.push_back({"seed", &recipe.seed, "seed of everything random"});
  list.push_back({"model.preset", &recipe.preset, "model preset that the other model settings start from"});
  for (Field& f : CollectFields(recipe.model)) list.push_back({"model." + f.name, f.value, f.help});
  list.push_back({"tokenizer.documents", &recipe.tokenizer_documents, "corpus documents the tokenizer is trained on"});
  for (const auto& stage : recipe.stages) {
    for (Field& f : StageFields(*stage)) list.push_back({stage->name + "." + f.name, f.value, f.help});
  }
  return list;
}

Result<Recipe> ParseRecipe(const std::string& toml, const std::string& where,
                           const std::vector<std::pair<std::string, std::string>>& overrides) {
  R1_ASSIGN(nlohmann::ordered_json table, ParseToml(toml, where));
  Recipe r;
  for (const char* key : {"model", "tokenizer"}) {
    if (table.contains(key) && !table[key].is_object()) return Bad(where, std::string("'") + key + "' must be a table");
  }
  if (table.contains("model")) {
    R1_ASSIGN(const std::string preset, TakeString(table["model"], "preset", where + ": [model]"));
    if (!preset.empty()) r.preset = preset;
  }
  for (const auto& [name, value] : overrides) {
    if (name == "model.preset") r.preset = value;
  }
  R1_ASSIGN(r.model, ModelPreset(r.preset));

  if (table.contains("stage")) {
    if (!table["stage"].is_array()) return Bad(where, "'stage' must be written as [[stage]]");
    std::set<std::string> names;
    for (size_t i = 0; i < table["stage"].size(); ++i) {
      nlohmann::ordered_json& t = table["stage"][i];
      const std::string at = where + ": [[stage]] " + std::to_string(i + 1);
      if (!t.is_object()) return Bad(at, "must be a table");
      auto stage = std::make_unique<RecipeStage>();
      R1_ASSIGN(stage->name, TakeString(t, "name", at));
      R1_ASSIGN(stage->kind, TakeString(t, "kind", at));
      R1_ASSIGN(stage->model, TakeString(t, "model", at));
      if (!GoodName(stage->name))
        return Bad(at, "needs a name of letters, digits, '-' and '_' (not 'model' or 'tokenizer')");
      std::string plain = stage->name;  // '-' and '_' are the same in the names of settings
      std::replace(plain.begin(), plain.end(), '-', '_');
      if (!names.insert(plain).second) return Bad(at, "the name '" + stage->name + "' is used twice");
      if (stage->kind == "pretrain") {
        stage->settings = PretrainConfig();
      } else if (stage->kind == "rl") {
        stage->settings = RlConfig();
      } else if (stage->kind == "eval") {
        stage->settings = EvalConfig();
      } else {
        return Bad(at, "kind '" + stage->kind + "' is not known (pretrain, rl, eval)");
      }
      R1_TRY(ApplyTable(t, where + ": stage '" + stage->name + "'", StageFields(*stage)));
      r.stages.push_back(std::move(stage));
    }
    table.erase("stage");
  }
  if (r.stages.empty()) return Bad(where, "has no [[stage]]");
  R1_TRY(ApplyTable(table, where, RecipeFields(r)));
  const FieldList fields = RecipeFields(r);
  for (const auto& [name, value] : overrides) {
    const Field* field = FindField(fields, name);
    if (field == nullptr) return UnknownField(name, fields, "the command line");
    R1_TRY(SetField(*field, value));
  }
  R1_TRY(Validate(r, where));
  return Result<Recipe>(std::move(r));
}

Result<Recipe> LoadRecipe(const std::string& path, const std::vector<std::pair<std::string, std::string>>& overrides) {
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxRecipeBytes));
  return ParseRecipe(text, path, overrides);
}

std::string RecipeToToml(Recipe& recipe) {
  FieldList top = {{"name", &recipe.name, ""}, {"seed", &recipe.seed, ""}};
  std::string text = FieldsToToml(top, false);
  FieldList model = {{"preset", &recipe.preset, ""}};
  for (const Field& f : CollectFields(recipe.model)) model.push_back(f);
  text += "\n[model]\n" + FieldsToToml(model, false);
  FieldList tokenizer = {{"documents", &recipe.tokenizer_documents, ""}};
  text += "\n[tokenizer]\n" + FieldsToToml(tokenizer, false);
  for (const auto& stage : recipe.stages) {
    FieldList head = {{"name", &stage->name, ""}, {"kind", &stage->kind, ""}};
    if (!stage->model.empty()) head.push_back({"model", &stage->model, ""});
    text += "\n[[stage]]\n" + FieldsToToml(head, false) + FieldsToToml(StageFields(*stage), false);
  }
  return text;
}

std::string ShapingText(RecipeStage& stage) {
  FieldList shaping;
  for (const Field& f : StageFields(stage)) {
    if (std::find(std::begin(kNotShaping), std::end(kNotShaping), f.name) == std::end(kNotShaping))
      shaping.push_back(f);
  }
  return stage.kind + "\n" + FieldsText(shaping);
}

}  // namespace r1
