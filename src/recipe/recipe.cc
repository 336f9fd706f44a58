#include "recipe/recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/config.h"
#include "base/files.h"
#include "base/toml.h"
#include "world/corpus.h"

namespace r1 {

namespace {

constexpr int64_t kMaxRecipeBytes = int64_t{1} << 20;
constexpr int64_t kWorldPositions = 131;  // the world's longest document: a search of ten tries
constexpr int64_t kPromptPositions = 16;  // and its longest prompt
constexpr const char* kNotShaping[] = {"save_steps", "save_total_limit", "log_completions_steps", "eval_steps",
                                       "slots"};

Error Bad(const std::string& where, const std::string& what) { return Error{ErrorCode::kUsage, where + ": " + what}; }

constexpr const char* kTables[] = {"model", "corpus", "tokenizer", "curve"};

// A kind of stage: whether it has a model, needs data, makes a model, and its settings with their defaults.
struct Kind {
  const char* name;
  bool takes_model, takes_data, makes_model;
  decltype(RecipeStage::settings) (*settings)();
};
template <class Config>
decltype(RecipeStage::settings) Default() {
  return Config();
}
constexpr Kind kKinds[] = {
    {"pretrain", false, false, true, Default<PretrainConfig>},
    {"sft", true, true, true, Default<SftConfig>},
    {"rl", true, false, true, Default<RlConfig>},
    {"sample", true, false, false, Default<SampleConfig>},
    {"preferences", true, false, false, Default<PreferencesConfig>},
    {"rm", true, true, true, Default<RewardModelConfig>},
    {"eval", true, false, false, Default<EvalConfig>},
};

const Kind* FindKind(const std::string& name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

Error UnknownKind(const std::string& at, const std::string& name) {
  std::vector<std::string> known;
  for (const Kind& kind : kKinds) known.emplace_back(kind.name);
  const std::string nearest = NearestName(name, known);
  std::string text = "kind '" + name + "' is not known";
  if (!nearest.empty()) text += "; did you mean '" + nearest + "'?";
  text += " Known:";
  for (const std::string& k : known) text += " " + k;
  return Bad(at, text);
}

std::vector<std::pair<const char*, std::string*>> InputFields(StageInputs& in) {
  return {{"model", &in.model},
          {"data", &in.data},
          {"helpful", &in.helpful},
          {"harmless", &in.harmless},
          {"teacher", &in.teacher},
          {"preset", &in.preset},
          {"traces_file", &in.traces},
          {"endpoint", &in.endpoint},
          {"endpoint_model", &in.endpoint_model},
          {"endpoint_key_env", &in.endpoint_key_env}};
}

// A name that is a folder and a prefix of settings.
bool GoodName(const std::string& name) {
  return !name.empty() && name.size() <= 64 &&
         std::none_of(std::begin(kTables), std::end(kTables), [&](const char* table) { return name == table; }) &&
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
  if (const auto* p = std::get_if<SampleConfig>(&stage.settings)) reply = p->max_completion_length;
  if (const auto* p = std::get_if<PreferencesConfig>(&stage.settings)) reply = p->max_completion_length;
  if (reply <= positions - kPromptPositions) return {};
  return Error{ErrorCode::kRefused, at + ": max_completion_length is " + std::to_string(reply) +
                                        "; with its prompt it does not fit in model.max_position_embeddings, " +
                                        std::to_string(positions)};
}

Status ValidateSettings(const RecipeStage& stage, const std::string& at) {
  if (const auto* p = std::get_if<PretrainConfig>(&stage.settings)) return ValidatePretrainConfig(*p, at);
  if (const auto* p = std::get_if<SftConfig>(&stage.settings)) return ValidateSftConfig(*p, at);
  if (const auto* p = std::get_if<RlConfig>(&stage.settings)) return ValidateRlConfig(*p, at);
  if (const auto* p = std::get_if<SampleConfig>(&stage.settings)) return ValidateSampleConfig(*p, at);
  if (const auto* p = std::get_if<PreferencesConfig>(&stage.settings)) return ValidatePreferencesConfig(*p, at);
  if (const auto* p = std::get_if<RewardModelConfig>(&stage.settings)) return ValidateRewardModelConfig(*p, at);
  return ValidateEvalConfig(std::get<EvalConfig>(stage.settings), at);
}

// models and data: the earlier stages that make a model, and those that write data.
Status ValidateInputs(const RecipeStage& stage, const Kind& kind, const std::set<std::string>& models,
                      const std::set<std::string>& data, const std::string& at) {
  const StageInputs& in = stage.in;
  const auto only = [&](const std::string& value, const char* key, const char* of) -> Status {
    if (value.empty() || stage.kind == of) return {};
    return Bad(at, std::string("'") + key + "' belongs to stages of kind " + of);
  };
  R1_TRY(only(in.preset, "preset", "pretrain"));
  R1_TRY(only(in.helpful, "helpful", "rl"));
  R1_TRY(only(in.harmless, "harmless", "rl"));
  R1_TRY(only(in.teacher, "teacher", "sft"));
  for (const auto& [value, key] : {std::pair{&in.traces, "traces_file"},
                                   {&in.endpoint, "endpoint"},
                                   {&in.endpoint_model, "endpoint_model"},
                                   {&in.endpoint_key_env, "endpoint_key_env"}})
    R1_TRY(only(*value, key, "sample"));
  if (stage.kind == "sample" &&
      (in.model.empty() ? 0 : 1) + (in.traces.empty() ? 0 : 1) + (in.endpoint.empty() ? 0 : 1) != 1)
    return Bad(at, "samples from one of 'model', 'traces_file' and 'endpoint'");
  if (!in.traces.empty() && !Exists(in.traces)) return Bad(at, "traces_file: there is no file '" + in.traces + "'");
  if (!in.endpoint.empty() && in.endpoint_model.empty()) return Bad(at, "an endpoint needs 'endpoint_model'");
  if (in.reasoning != 1.0 && stage.kind != "pretrain") return Bad(at, "'reasoning' belongs to stages of kind pretrain");
  if (!(in.reasoning >= 0 && in.reasoning <= 1)) return Bad(at, "reasoning must be in 0 .. 1");
  if (!in.preset.empty()) R1_TRY(ModelPreset(in.preset));
  if (!kind.takes_model && !in.model.empty())
    return Bad(at, "a pretrain stage starts from random weights and takes no 'model'");
  for (const std::string* model : {&in.model, &in.helpful, &in.harmless, &in.teacher}) {
    const bool wanted = kind.takes_model && stage.kind != "sample";  // else only where it is given
    if (model->empty() && !(model == &in.model && wanted)) continue;
    if (!models.contains(*model) && !IsDir(*model))
      return Bad(at, "its model '" + *model + "' is neither an earlier stage that makes a model nor a folder");
  }
  const std::vector<std::string> files = SplitList(in.data);
  const bool may_read = kind.takes_data || stage.kind == "rl";
  if (!may_read && !files.empty()) return Bad(at, "a stage of kind " + stage.kind + " takes no 'data'");
  if (kind.takes_data && files.empty())
    return Bad(at, "needs 'data': the name of an earlier stage that writes it, or a JSONL file");
  for (const std::string& file : files) {
    if ((stage.kind == "rl" || !data.contains(file)) && !Exists(file))
      return Bad(at, "its data '" + file + "' is neither an earlier stage that writes data nor a file");
  }
  return {};
}

Status Validate(Recipe& r, const std::string& where) {
  ModelConfig model = r.model;
  if (model.vocab_size == 0) model.vocab_size = 32;  // from the tokenizer later
  R1_TRY(ValidateModelConfig(model, where + ": [model]"));
  if (r.seed < 0) return Error{ErrorCode::kRefused, where + ": seed must not be negative"};
  if (r.tokenizer_documents < 100 || r.tokenizer_documents > 10'000'000)
    return Error{ErrorCode::kRefused, where + ": tokenizer.documents must be in 100 .. 10000000"};
  R1_TRY(CorpusNamed(r.corpus));
  if (r.curve_problems < 1 || r.curve_samples < 1)
    return Error{ErrorCode::kRefused, where + ": curve.problems and curve.samples must be at least 1"};
  std::set<std::string> models, data, own;  // own: stages whose model is that of this recipe
  for (const auto& stage : r.stages) {
    const std::string at = where + ": stage '" + stage->name + "'";
    const Kind& kind = *FindKind(stage->kind);
    R1_TRY(ValidateInputs(*stage, kind, models, data, at));
    R1_TRY(ValidateSettings(*stage, at));
    if (stage->kind == "pretrain" ? stage->in.preset.empty() : own.contains(stage->in.model)) {
      R1_TRY(ValidatePositions(*stage, r.model.max_position_embeddings, at));
      if (kind.makes_model) own.insert(stage->name);
    }
    (kind.makes_model ? models : data).insert(stage->name);
  }
  return {};
}

}  // namespace

std::vector<std::string> SplitList(const std::string& list) {
  std::vector<std::string> names;
  size_t at = 0;
  while (at <= list.size()) {
    const size_t end = std::min(list.find(',', at), list.size());
    const size_t from = list.find_first_not_of(' ', at), to = list.find_last_not_of(' ', end == 0 ? 0 : end - 1);
    if (from < end && to != std::string::npos) names.push_back(list.substr(from, to + 1 - from));
    at = end + 1;
  }
  return names;
}

const RecipeStage* Recipe::Find(const std::string& stage) const {
  for (const auto& s : stages) {
    if (s->name == stage) return s.get();
  }
  return nullptr;
}

FieldList StageFields(RecipeStage& stage) {
  return std::visit([](auto& settings) { return CollectFields(settings); }, stage.settings);
}

FieldList RecipeFields(Recipe& recipe) {
  FieldList list;
  list.push_back({"name", &recipe.name, "name of the run"});
  list.push_back({"seed", &recipe.seed, "seed of everything random"});
  list.push_back({"model.preset", &recipe.preset, "model preset that the other model settings start from"});
  for (Field& f : CollectFields(recipe.model)) list.push_back({"model." + f.name, f.value, f.help});
  list.push_back(
      {"corpus.name", &recipe.corpus, "documents of pretraining: pick, or wide (programs, open requests too)"});
  list.push_back(
      {"curve.problems", &recipe.curve_problems, "problems of the evaluation inside RL stages (eval_steps)"});
  list.push_back({"curve.samples", &recipe.curve_samples, "replies a problem of that evaluation"});
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
  for (const char* key : kTables) {
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
      for (const auto& [key, place] : InputFields(stage->in)) {
        R1_ASSIGN(*place, TakeString(t, key, at));
      }
      if (t.contains("reasoning")) {
        if (!t["reasoning"].is_number()) return Bad(at, "'reasoning' must be a number");
        stage->in.reasoning = t["reasoning"].get<double>();
        t.erase("reasoning");
      }
      if (!GoodName(stage->name))
        return Bad(at, "needs a name of letters, digits, '-' and '_' (not model, corpus, tokenizer or curve)");
      std::string plain = stage->name;  // '-' and '_' are the same in the names of settings
      std::replace(plain.begin(), plain.end(), '-', '_');
      if (!names.insert(plain).second) return Bad(at, "the name '" + stage->name + "' is used twice");
      const Kind* kind = FindKind(stage->kind);
      if (kind == nullptr) return UnknownKind(at, stage->kind);
      stage->settings = kind->settings();
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

std::string StagesToToml(Recipe& recipe) {
  std::string text;
  for (const auto& stage : recipe.stages) {
    FieldList head = {{"name", &stage->name, ""}, {"kind", &stage->kind, ""}};
    for (const auto& [key, place] : InputFields(stage->in)) {
      if (!place->empty()) head.push_back({key, place, ""});
    }
    if (stage->in.reasoning != 1.0) head.push_back({"reasoning", &stage->in.reasoning, ""});
    text += "\n[[stage]]\n" + FieldsToToml(head, false) + FieldsToToml(StageFields(*stage), false);
  }
  return text;
}

std::string RecipeToToml(Recipe& recipe) {
  FieldList top = {{"name", &recipe.name, ""}, {"seed", &recipe.seed, ""}};
  std::string text = FieldsToToml(top, false);
  FieldList model = {{"preset", &recipe.preset, ""}};
  for (const Field& f : CollectFields(recipe.model)) model.push_back(f);
  text += "\n[model]\n" + FieldsToToml(model, false);
  FieldList corpus = {{"name", &recipe.corpus, ""}};
  text += "\n[corpus]\n" + FieldsToToml(corpus, false);
  FieldList tokenizer = {{"documents", &recipe.tokenizer_documents, ""}};
  text += "\n[tokenizer]\n" + FieldsToToml(tokenizer, false);
  FieldList curve = {{"problems", &recipe.curve_problems, ""}, {"samples", &recipe.curve_samples, ""}};
  text += "\n[curve]\n" + FieldsToToml(curve, false);
  return text + StagesToToml(recipe);
}

std::string ShapingText(RecipeStage& stage) {
  FieldList shaping;
  for (const Field& f : StageFields(stage)) {
    if (std::find(std::begin(kNotShaping), std::end(kNotShaping), f.name) == std::end(kNotShaping))
      shaping.push_back(f);
  }
  std::string text = stage.kind + "\n" + FieldsText(shaping);
  if (stage.in.reasoning != 1.0) text += "reasoning = " + std::to_string(stage.in.reasoning) + "\n";
  return text;
}

}  // namespace r1
