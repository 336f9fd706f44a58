#include "train/run_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/json.h"
#include "base/log.h"
#include "model/io.h"

namespace r1 {

namespace {
constexpr int64_t kMaxMetricsBytes = int64_t{1} << 30;
constexpr int64_t kMaxStateBytes = int64_t{1} << 20;
constexpr const char* kAdapterFolder = "adapter";

// A whole number that is not negative; the parser stores such as signed or as unsigned.
bool IsCount(const nlohmann::json& j) {
  return j.is_number_unsigned() || (j.is_number_integer() && j.get<int64_t>() >= 0);
}

nlohmann::ordered_json StateToJson(const TrainState& s) {
  nlohmann::ordered_json j = {{"kind", s.kind},
                              {"step", s.step},
                              {"seed", s.seed},
                              {"cursor", s.cursor},
                              {"num_tokens", s.num_tokens},
                              {"optimizer_steps", s.optimizer_steps},
                              {"config_hash", s.config_hash}};
  if (s.value_steps != 0) j["value_steps"] = s.value_steps;
  return j;
}

Result<TrainState> StateFromJson(const std::string& path) {
  R1_ASSIGN(const nlohmann::json j, ReadJsonFile(path, kMaxStateBytes));
  TrainState s;
  for (const char* key : {"step", "seed", "cursor", "num_tokens", "optimizer_steps"}) {
    if (!j.is_object() || !j.contains(key) || !IsCount(j[key]))
      return Error{ErrorCode::kBadInput, path + ": '" + key + "' is missing or not a whole number"};
  }
  for (const char* key : {"kind", "config_hash"}) {
    if (!j.contains(key) || !j[key].is_string())
      return Error{ErrorCode::kBadInput, path + ": '" + key + "' is missing or not a string"};
  }
  s.kind = j["kind"].get<std::string>();
  s.step = j["step"].get<int64_t>();
  s.seed = j["seed"].get<uint64_t>();
  s.cursor = j["cursor"].get<uint64_t>();
  s.num_tokens = j["num_tokens"].get<int64_t>();
  s.optimizer_steps = j["optimizer_steps"].get<int64_t>();
  s.config_hash = j["config_hash"].get<std::string>();
  if (j.contains("value_steps")) {
    if (!IsCount(j["value_steps"])) return Error{ErrorCode::kBadInput, path + ": 'value_steps' is not a whole number"};
    s.value_steps = j["value_steps"].get<int64_t>();
  }
  return s;
}

}  // namespace

void AppendLoadMetrics(const ModelConfig& config, const StepReport& report, Metrics* metrics) {
  double most = 0, least = -1;
  const size_t experts = static_cast<size_t>(config.n_routed_experts);
  for (int64_t layer = 0; layer < config.num_hidden_layers && !report.load.empty(); ++layer) {
    if (!config.is_moe_layer(layer)) continue;
    const auto begin = report.load.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(layer) * experts);
    const auto end = begin + static_cast<std::ptrdiff_t>(experts);
    const double mean = static_cast<double>(std::accumulate(begin, end, int64_t{0})) / static_cast<double>(experts);
    if (mean <= 0) continue;
    most = std::max(most, static_cast<double>(*std::max_element(begin, end)) / mean);
    const double low = static_cast<double>(*std::min_element(begin, end)) / mean;
    least = least < 0 ? low : std::min(least, low);
  }
  if (least < 0) return;
  metrics->emplace_back("expert_load/max", most);
  metrics->emplace_back("expert_load/min", least);
}

Result<MetricsFile> MetricsFile::Open(const std::string& path, int64_t last_step) {
  int64_t keep = -1, last_kept = 0;
  if (Exists(path)) {
    R1_ASSIGN(const std::string text, ReadFile(path, kMaxMetricsBytes));
    size_t at = 0;
    while (at < text.size()) {
      const size_t end = text.find('\n', at);
      if (end == std::string::npos) break;
      const Result<nlohmann::json> line = ParseJson(std::string_view(text).substr(at, end - at), path);
      if (!line.ok() || !line->is_object() || !line->contains("step")) break;
      const nlohmann::json& step = (*line)["step"];
      if (!IsCount(step) || step.get<uint64_t>() > static_cast<uint64_t>(last_step)) break;
      at = end + 1;
      last_kept = step.get<int64_t>();
    }
    keep = static_cast<int64_t>(at);
  }
  if (last_kept < last_step)
    LogWarn(path + ": steps " + std::to_string(last_kept + 1) + " to " + std::to_string(last_step) +
            " are in the checkpoint, but not in this file; its curves will have a gap");
  R1_ASSIGN(LineWriter writer, LineWriter::Open(path, keep));
  return Result<MetricsFile>(MetricsFile(std::move(writer)));
}

Status MetricsFile::Write(int64_t step, const Metrics& metrics) {
  nlohmann::ordered_json line;
  line["step"] = step;
  for (const auto& [name, value] : metrics) line[name] = value;
  return writer_.Append(ToLineText(line));
}

Status MetricsFile::Sync() { return writer_.Sync(); }

Status SaveTraining(const StageFiles& files, const TrainState& state, Trainer& trainer, const ModelText& text,
                    const Model* reference, const std::vector<FlatFile>& more) {
  const Model& model = trainer.model();
  int64_t values = model.params().total * (reference == nullptr ? 1 : 2) + 2 * model.trained().total;
  if (model.adapter() != nullptr) values += model.trained().total;
  for (const FlatFile& file : more) values += file.params->total * static_cast<int64_t>(file.vectors.size());
  const auto write = [&](const std::string& folder) -> Status {
    R1_TRY(WriteModelFiles(folder, model, text.begin(), text.end()));
    bool tokenizer = false;
    for (const auto& [name, bytes] : text.files()) {
      tokenizer = tokenizer || name == "tokenizer.json";
      R1_TRY(WriteFileAtomic(JoinPath(folder, name), bytes));
    }
    if (!tokenizer) R1_TRY(WriteFileAtomic(JoinPath(folder, "tokenizer.json"), text.tokenizer().ToJson()));
    if (model.adapter() != nullptr) {
      R1_TRY(MakeDirs(JoinPath(folder, kAdapterFolder)));
      R1_TRY(WriteAdapterFiles(JoinPath(folder, kAdapterFolder), model));
    }
    R1_TRY(WriteFlat(JoinPath(folder, "optimizer.safetensors"), model.trained(),
                     {{"exp_avg.", trainer.first_moment()}, {"exp_avg_sq.", trainer.second_moment()}}));
    if (reference != nullptr)
      R1_TRY(WriteFlat(JoinPath(folder, "reference.safetensors"), model.params(), {{"", reference->data()}}));
    for (const FlatFile& file : more) {
      const std::vector<std::pair<std::string, const float*>> vectors(file.vectors.begin(), file.vectors.end());
      R1_TRY(WriteFlat(JoinPath(folder, file.name), *file.params, vectors));
    }
    return WriteFileAtomic(JoinPath(folder, "trainer_state.json"), ToPrettyText(StateToJson(state)));
  };
  const SaveOptions options{files.save_total_limit, values * static_cast<int64_t>(sizeof(float))};
  const Result<std::string> saved = SaveCheckpoint(files.folder, state.step, write, options);
  if (!saved.ok()) return saved.error();
  return {};
}

Result<std::optional<TrainState>> ResumeTraining(const StageFiles& files, const TrainState& expected, Trainer& trainer,
                                                 Model* reference, const std::vector<FlatFile>& more) {
  if (!Exists(files.folder)) return std::optional<TrainState>();
  R1_TRY(CleanCheckpointLeftovers(files.folder));
  R1_ASSIGN(const std::optional<CheckpointRef> found, FindCheckpoint(files.folder));
  if (!found.has_value()) return std::optional<TrainState>();
  R1_ASSIGN(const TrainState state, StateFromJson(JoinPath(found->path, "trainer_state.json")));
  const auto refuse = [&](const std::string& what) {
    return Error{ErrorCode::kRefused, found->path + " was made with other settings (" + what +
                                          "); use another --output-dir, or the settings in the run's recipe.toml"};
  };
  if (state.kind != expected.kind) return refuse("stage kind " + state.kind);
  if (state.seed != expected.seed)
    return refuse("seed " + std::to_string(state.seed) + ", now " + std::to_string(expected.seed));
  if (state.config_hash != expected.config_hash)
    return refuse("config hash " + state.config_hash.substr(0, 12) + ", now " + expected.config_hash.substr(0, 12));
  // A process killed between its last save and the removal of an old checkpoint has nobody else to finish that.
  if (files.save_total_limit > 0) R1_TRY(RemoveOldCheckpoints(files.folder, files.save_total_limit, found->step));
  Model& model = trainer.model();
  R1_TRY(model.adapter() != nullptr ? ReadAdapterWeights(JoinPath(found->path, kAdapterFolder), model)
                                    : ReadWeights(found->path, model));
  R1_TRY(ReadFlat(JoinPath(found->path, "optimizer.safetensors"), model.trained(),
                  {{"exp_avg.", trainer.first_moment()}, {"exp_avg_sq.", trainer.second_moment()}}));
  model.Pack(trainer.pool());
  if (reference != nullptr) {
    R1_TRY(ReadFlat(JoinPath(found->path, "reference.safetensors"), model.params(), {{"", reference->data()}}));
    reference->Pack(trainer.pool());
  }
  for (const FlatFile& file : more) R1_TRY(ReadFlat(JoinPath(found->path, file.name), *file.params, file.vectors));
  return std::optional<TrainState>(state);
}

Result<std::string> ResolveModelFolder(const std::string& folder) {
  if (Exists(JoinPath(folder, "config.json"))) return folder;
  if (!IsDir(folder)) return Error{ErrorCode::kBadInput, folder + ": no such model folder"};
  R1_ASSIGN(const std::optional<CheckpointRef> found, FindCheckpoint(folder));
  if (!found.has_value())
    return Error{ErrorCode::kBadInput, folder + ": neither a config.json nor a checkpoint-N folder in it"};
  return found->path;
}

}  // namespace r1
