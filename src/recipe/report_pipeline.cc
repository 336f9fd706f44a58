// Reading of what the stages of a pipeline leave besides metrics: results.json's "pipeline", the hashes of
// manifest.json, STAGE/stats.json of sampling stages and STAGE/eval.json of reward models (formats: report_data.h).
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "recipe/report_read.h"

namespace r1 {
namespace {

using nlohmann::json;

constexpr size_t kMaxStages = 400;
constexpr size_t kMaxInputs = 64;  // data of one stage
constexpr size_t kMaxBins = 200;
constexpr size_t kMaxReasons = 100;
constexpr int64_t kMaxSmallFile = int64_t{16} << 20;

// A setting that a recipe may write as a word or as a number.
Status OptionalWord(const json& object, const char* key, const std::string& where, std::string* out) {
  const auto it = object.find(key);
  if (it != object.end() && it->is_number()) {
    *out = ToLineText(*it);
    return {};
  }
  return OptionalText(object, key, where, out);
}

Status ReadPipelineStage(const json& entry, const std::string& where, PipelineStage* stage) {
  if (!entry.is_object()) return Malformed(where, "each of \"pipeline\" must be an object");
  R1_TRY(GetText(entry, "name", where, &stage->name));
  const std::string here = where + ": \"pipeline\" stage " + Quote(stage->name);
  R1_TRY(OptionalText(entry, "kind", here, &stage->kind));
  R1_TRY(OptionalText(entry, "model", here, &stage->model));
  R1_TRY(OptionalText(entry, "helpful", here, &stage->helpful));
  R1_TRY(OptionalText(entry, "harmless", here, &stage->harmless));
  R1_TRY(OptionalText(entry, "teacher", here, &stage->teacher));
  R1_TRY(OptionalText(entry, "preset", here, &stage->preset));
  R1_TRY(OptionalText(entry, "algorithm", here, &stage->algorithm));
  R1_TRY(OptionalWord(entry, "reasoning", here, &stage->reasoning));
  R1_TRY(OptionalAmount(entry, "parameters", here, &stage->parameters));
  R1_TRY(OptionalAmount(entry, "trained_tokens", here, &stage->trained_tokens));
  R1_TRY(OptionalAmount(entry, "sampled_tokens", here, &stage->sampled_tokens));
  R1_TRY(OptionalAmount(entry, "seconds", here, &stage->seconds));
  const auto data = entry.find("data");
  if (data == entry.end() || data->is_null()) return {};
  if (data->is_string()) {
    if (!data->get<std::string>().empty()) stage->data.push_back(data->get<std::string>());
    return {};
  }
  if (!data->is_array() || data->size() > kMaxInputs) {
    return Malformed(here, "\"data\" must be a list of at most " + std::to_string(kMaxInputs) + " texts");
  }
  for (const json& input : *data) {
    if (!input.is_string()) return Malformed(here, "\"data\" must be a list of texts");
    stage->data.push_back(input.get<std::string>());
  }
  return {};
}

Status ReadStats(const std::string& path, SampleStats* stats) {
  R1_ASSIGN(const json object, ReadJsonFile(path, kMaxSmallFile));
  if (!object.is_object()) return Malformed(path, "must hold a JSON object");
  R1_TRY(OptionalAmount(object, "prompts", path, &stats->prompts));
  R1_TRY(OptionalAmount(object, "samples", path, &stats->samples));
  R1_TRY(OptionalAmount(object, "kept", path, &stats->kept));
  R1_TRY(OptionalAmount(object, "general", path, &stats->general));
  R1_TRY(OptionalAmount(object, "tokens", path, &stats->tokens));
  R1_TRY(OptionalAmount(object, "pairs", path, &stats->pairs));
  R1_TRY(OptionalAmount(object, "judged", path, &stats->samples));
  R1_TRY(OptionalAmount(object, "safety_examples", path, &stats->safety));
  R1_TRY(ReadNumberTable(object, "dropped", path, &stats->dropped));
  for (const auto& [key, reason] :
       {std::pair{"dropped_margin", "too close"}, std::pair{"dropped_balance", "balance of lengths"}}) {
    double count = 0;
    R1_TRY(OptionalAmount(object, key, path, &count));
    if (count > 0) stats->dropped.emplace_back(reason, count);
  }
  if (stats->dropped.size() > kMaxReasons) return Malformed(path, "\"dropped\" has too many reasons");
  return {};
}

Status ReadBins(const json& object, const std::string& path, RewardModelEval* eval) {
  const auto bins = object.find("bins");
  if (bins == object.end() || bins->is_null()) return {};
  if (!bins->is_array() || bins->size() > kMaxBins) {
    return Malformed(path, "\"bins\" must be a list of at most " + std::to_string(kMaxBins));
  }
  for (const json& entry : *bins) {
    if (!entry.is_object()) return Malformed(path, "each of \"bins\" must be an object");
    CalibrationBin bin;
    R1_TRY(OptionalShare(entry, "confidence", path, &bin.confidence));
    R1_TRY(OptionalShare(entry, "accuracy", path, &bin.accuracy));
    R1_TRY(OptionalAmount(entry, "count", path, &bin.count));
    eval->bins.push_back(bin);
  }
  return {};
}

// eval.json is also what an evaluation stage writes; a reward model's has calibration bins or a Brier score.
Status ReadRewardModel(const std::string& path, const std::string& stage, RunData* run) {
  R1_ASSIGN(const json object, ReadJsonFile(path, kMaxSmallFile));
  if (!object.is_object()) return Malformed(path, "must hold a JSON object");
  if (!object.contains("brier") && !object.contains("bins")) return {};
  RewardModelEval eval;
  eval.name = stage;
  R1_TRY(OptionalText(object, "kind", path, &eval.kind));
  R1_TRY(OptionalAmount(object, "train", path, &eval.train));
  R1_TRY(OptionalAmount(object, "held_out", path, &eval.held_out));
  R1_TRY(OptionalShare(object, "accuracy", path, &eval.accuracy));
  R1_TRY(OptionalAmount(object, "accuracy_stderr", path, &eval.accuracy_stderr));
  R1_TRY(OptionalAmount(object, "brier", path, &eval.brier));
  R1_TRY(OptionalShare(object, "ece", path, &eval.ece));
  R1_TRY(ReadBins(object, path, &eval));
  run->reward_models.push_back(std::move(eval));
  return {};
}

}  // namespace

Status ReadPipeline(const json& results, const std::string& where, RunData* run) {
  const auto pipeline = results.find("pipeline");
  if (pipeline == results.end() || pipeline->is_null()) return {};
  if (!pipeline->is_array() || pipeline->size() > kMaxStages) {
    return Malformed(where, "\"pipeline\" must be a list of at most " + std::to_string(kMaxStages) + " stages");
  }
  for (const json& entry : *pipeline) {
    PipelineStage stage;
    R1_TRY(ReadPipelineStage(entry, where, &stage));
    if (run->FindStage(stage.name) != nullptr) {
      return Malformed(where, "\"pipeline\" has two stages named " + Quote(stage.name));
    }
    run->pipeline.push_back(std::move(stage));
  }
  return {};
}

Status ReadStageHashes(const json& manifest, const std::string& where, RunData* run) {
  const auto stages = manifest.find("stages");
  if (stages == manifest.end() || !stages->is_array()) return {};
  for (const json& entry : *stages) {
    if (!entry.is_object()) continue;
    std::string name, hash;
    R1_TRY(OptionalText(entry, "name", where, &name));
    R1_TRY(OptionalText(entry, "result_sha256", where, &hash));
    for (PipelineStage& stage : run->pipeline) {
      if (stage.name == name) stage.hash = hash;
    }
  }
  return {};
}

Status ReadStageFiles(const std::string& folder, const std::string& stage, RunData* run) {
  if (const std::string stats = JoinPath(folder, "stats.json"); Exists(stats)) {
    SampleStats read;
    read.name = stage;
    R1_TRY(ReadStats(stats, &read));
    run->samples.push_back(std::move(read));
  }
  const bool evaluation = stage.rfind("eval_", 0) == 0;
  if (const std::string eval = JoinPath(folder, "eval.json"); !evaluation && Exists(eval)) {
    R1_TRY(ReadRewardModel(eval, stage, run));
  }
  return {};
}

}  // namespace r1
