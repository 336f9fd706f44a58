#include "recipe/run.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "data/corpus_stream.h"
#include "data/model_text.h"
#include "data/preference_data.h"
#include "data/problem_set.h"
#include "data/sft_data.h"
#include "eval/task_eval.h"
#include "kernels/kernels.h"
#include "model/io.h"
#include "model/param_source.h"
#include "model/params.h"
#include "recipe/folder_lock.h"
#include "recipe/report.h"
#include "recipe/stage_memory.h"
#include "rl/loop.h"
#include "train/run_files.h"

namespace r1 {

namespace {

constexpr int64_t kMaxSmallFile = int64_t{64} << 20;
constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;
constexpr size_t kShownTraces = 3;
constexpr int64_t kVocabMultiple = 32;

using Json = nlohmann::ordered_json;

// Calls visit with each value of a metric over a stage's steps.
template <class F>
void EachMetric(const std::string& path, const char* name, F visit) {
  const Result<std::string> text = ReadFile(path, kMaxSmallFile * 16);
  for (size_t at = 0; text.ok() && at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const auto line = ParseJson(std::string_view(*text).substr(at, end - at), path);
    if (line.ok() && line->is_object() && line->contains(name) && (*line)[name].is_number())
      visit((*line)[name].get<double>());
    at = end + 1;
  }
}

double SumMetric(const std::string& path, const char* name) {
  double sum = 0;
  EachMetric(path, name, [&](double value) { sum += value; });
  return sum;
}

double LastMetric(const std::string& path, const char* name) {
  double last = 0;
  EachMetric(path, name, [&](double value) { last = value; });
  return last;
}

// Of a model's weights, in one file or in shards.
Result<std::string> HashOfWeights(const std::string& folder) {
  const std::string single = JoinPath(folder, "model.safetensors");
  if (Exists(single)) return Sha256OfFile(single);
  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  std::string hashes;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    R1_ASSIGN(const std::string hash, Sha256OfFile(JoinPath(folder, name)));
    hashes += name + " " + hash + "\n";
  }
  if (hashes.empty()) return Error{ErrorCode::kBadInput, folder + ": there is no .safetensors file in it"};
  return Sha256(hashes);
}

class Runner {
 public:
  Runner(Recipe& recipe, const RunOptions& options, std::string folder)
      : recipe_(recipe),
        options_(options),
        folder_(std::move(folder)),
        pool_(static_cast<int>(options.threads > 0 ? options.threads : AvailableCores())) {
    SetFloatMode();
  }

  Result<RunOutcome> Run() {
    R1_TRY(MakeDirs(folder_));
    R1_ASSIGN(const FolderLock lock, FolderLock::Take(folder_));
    R1_TRY(ClearLeftovers());
    R1_ASSIGN(odds_, CorpusNamed(recipe_.corpus));
    R1_TRY(PrepareTokenizer());
    R1_TRY(CheckTeachers());
    R1_TRY(KeepRecipe());
    Say(fmt::format("tokenizer: {} tokens\n", tokenizer_->size()));
    manifest_["format"] = 1;
    manifest_["name"] = recipe_.name;
    manifest_["seed"] = recipe_.seed;
    manifest_["version"] = R1_VERSION;
    manifest_["kernels"] = kernels::Kernels().isa;
    manifest_["preset"] = recipe_.preset;
    manifest_["command"] = options_.command;
    manifest_["tokenizer_sha256"] = Sha256(tokenizer_->ToJson());
    manifest_["stages"] = Json::array();
    for (const auto& stage : recipe_.stages) {
      const Status done = RunStage(*stage);
      R1_TRY(WriteManifest());
      if (!done.ok()) return done.error();
    }
    return Finish();
  }

 private:
  // What a stage reads, as files and folders, and what names its result.
  struct Job {
    Job(RecipeStage& s, std::string f) : stage(s), folder(std::move(f)) {}
    RecipeStage& stage;
    std::string folder;
    std::string model, helpful, harmless, teacher;  // folders
    std::vector<std::string> data;                  // files
    ModelConfig config;                             // pretrain: what is built
    std::string hash;                               // of everything that shapes the result
  };

  void Say(const std::string& text) const {
    if (!options_.quiet) {
      std::fputs(text.c_str(), stdout);
      std::fflush(stdout);
    }
  }
  std::string StageFolder(const std::string& name) const { return JoinPath(folder_, name); }
  uint64_t Seed() const { return static_cast<uint64_t>(recipe_.seed); }

  // What killed processes left; those of checkpoints are cleared by their stage.
  Status ClearLeftovers() {
    R1_TRY(RemoveTemporaries(folder_));
    for (const auto& stage : recipe_.stages) {
      for (const std::string& folder : {StageFolder(stage->name), JoinPath(StageFolder(stage->name), "completions")}) {
        if (IsDir(folder)) R1_TRY(RemoveTemporaries(folder));
      }
    }
    return {};
  }

  // The settings of a run folder never change: a different recipe needs a different folder.
  Status KeepRecipe() {
    const std::string path = JoinPath(folder_, "recipe.toml"), text = RecipeToToml(recipe_);
    if (Exists(path)) {
      R1_ASSIGN(const std::string old, ReadFile(path, kMaxSmallFile));
      if (old != text)
        return Error{ErrorCode::kRefused, path +
                                              " holds other settings than this command; give another --output-dir, or "
                                              "remove the folder to start again"};
      return {};
    }
    return WriteFileAtomic(path, text);
  }

  // The tokenizer of the models that stages take from outside the run: they must all have the same one. A model that is
  // only sampled from brings its own, which counts here only if no other is there.
  Result<std::optional<std::string>> OutsideTokenizer() {
    std::optional<std::string> found, sampled;
    std::string from, sampled_folder;
    bool own = false;
    for (const auto& stage : recipe_.stages) {
      own = own || stage->kind == "pretrain";
      for (const std::string& model : {stage->in.model, stage->in.helpful, stage->in.harmless}) {
        if (model.empty() || recipe_.Find(model) != nullptr) continue;
        R1_ASSIGN(const std::string folder, ResolveModelFolder(model));
        R1_ASSIGN(std::string text, ReadFile(JoinPath(folder, "tokenizer.json"), kMaxTokenizerBytes));
        if (stage->kind == "sample") {
          sampled = std::move(text);
          sampled_folder = folder;
          continue;
        }
        if (found.has_value() && *found != text)
          return Error{ErrorCode::kRefused, folder + " and " + from + " have different tokenizers; one run has one"};
        if (from.empty()) from = folder;
        found = std::move(text);
      }
    }
    text_folder_ = found.has_value() || own ? from : sampled_folder;
    return found.has_value() || own ? found : sampled;
  }

  Status PrepareTokenizer() {
    const std::string path = JoinPath(folder_, "tokenizer.json");
    R1_ASSIGN(const std::optional<std::string> outside, OutsideTokenizer());
    if (Exists(path)) {
      R1_ASSIGN(Tokenizer loaded, Tokenizer::Load(path));
      tokenizer_.emplace(std::move(loaded));
    } else if (outside.has_value()) {
      R1_ASSIGN(Tokenizer given, Tokenizer::FromJson(*outside, "the model's tokenizer.json"));
      R1_TRY(WriteFileAtomic(path, *outside));
      tokenizer_.emplace(std::move(given));
    } else {
      R1_ASSIGN(Tokenizer trained, TrainTokenizer(Seed(), static_cast<uint64_t>(recipe_.tokenizer_documents), odds_));
      R1_TRY(WriteFileAtomic(path, trained.ToJson()));
      tokenizer_.emplace(std::move(trained));
    }
    if (outside.has_value()) {
      R1_ASSIGN(const std::string there, ReadFile(path, kMaxTokenizerBytes));
      if (there != *outside)
        return Error{ErrorCode::kRefused, path +
                                              " is not the tokenizer of the model that this run starts from; give "
                                              "another --output-dir"};
    }
    text_.emplace(*tokenizer_);
    if (!text_folder_.empty()) {
      R1_ASSIGN(ModelText text, ModelText::Load(text_folder_));
      if (!text.is_world()) text_ = std::move(text);
    }
    if (recipe_.model.vocab_size == 0) {
      model_vocab_ = kernels::RoundUp(tokenizer_->size(), kVocabMultiple);
    } else if (recipe_.model.vocab_size < tokenizer_->size()) {
      return Error{ErrorCode::kRefused, fmt::format("model.vocab_size is {}, but the tokenizer has {} tokens",
                                                    recipe_.model.vocab_size, tokenizer_->size())};
    } else {
      model_vocab_ = recipe_.model.vocab_size;
    }
    return {};
  }

  // Logits of different vocabularies cannot be compared: said before anything is sampled for them.
  Status CheckTeachers() const {
    for (const auto& stage : recipe_.stages) {
      const std::string& teacher = stage->in.teacher;
      if (teacher.empty() || recipe_.Find(teacher) != nullptr) continue;
      R1_ASSIGN(const std::string folder, ResolveModelFolder(teacher));
      R1_ASSIGN(const Tokenizer theirs, Tokenizer::Load(JoinPath(folder, "tokenizer.json")));
      if (theirs.ToJson() != tokenizer_->ToJson())
        return Error{ErrorCode::kRefused,
                     folder +
                         " has another tokenizer than the student: logits of different vocabularies cannot be "
                         "compared; distil its text instead (--method text)"};
    }
    return {};
  }

  // The model of a stage's input, resolved; its hash goes into the lineage and into *shaping.
  Result<std::string> InputModel(const std::string& name, const char* role, Json* entry, std::string* shaping) {
    if (name.empty()) return std::string();
    R1_ASSIGN(const std::string folder, ResolveModelFolder(recipe_.Find(name) != nullptr ? StageFolder(name) : name));
    R1_ASSIGN(const std::string hash, HashOfWeights(folder));
    (*entry)[role] = name;
    (*entry)[std::string(role) + "_sha256"] = hash;
    *shaping += hash;
    return folder;
  }

  // The file that a data stage leaves for a stage of this kind.
  std::string DataFile(const std::string& name, const RecipeStage& reader) const {
    const RecipeStage* writer = recipe_.Find(name);
    if (writer == nullptr) return name;
    const auto* rm = std::get_if<RewardModelConfig>(&reader.settings);
    const bool pairs = writer->kind == "preferences";
    return JoinPath(StageFolder(name), !pairs                                         ? "samples.jsonl"
                                       : rm != nullptr && rm->reward_kind == "safety" ? "safety.jsonl"
                                                                                      : "pairs.jsonl");
  }

  Result<Job> Prepare(RecipeStage& stage, Json* entry) {
    Job job(stage, StageFolder(stage.name));
    job.config = recipe_.model;
    (*entry)["name"] = stage.name;
    (*entry)["kind"] = stage.kind;
    if (!stage.in.preset.empty()) {
      R1_ASSIGN(job.config, ModelPreset(stage.in.preset));
      (*entry)["preset"] = stage.in.preset;
    }
    job.config.vocab_size = model_vocab_;
    std::string shaping = ShapingText(stage) + ModelConfigToJson(job.config) + recipe_.corpus +
                          std::to_string(recipe_.seed) + Sha256(tokenizer_->ToJson()) + text_->identity();
    R1_ASSIGN(job.model, InputModel(stage.in.model, "model", entry, &shaping));
    R1_ASSIGN(job.helpful, InputModel(stage.in.helpful, "helpful", entry, &shaping));
    R1_ASSIGN(job.harmless, InputModel(stage.in.harmless, "harmless", entry, &shaping));
    R1_ASSIGN(job.teacher, InputModel(stage.in.teacher, "teacher", entry, &shaping));
    for (const std::string* source : {&stage.in.endpoint, &stage.in.endpoint_model}) shaping += *source;
    if (!stage.in.endpoint.empty()) {
      (*entry)["endpoint"] = stage.in.endpoint;
      (*entry)["endpoint_model"] = stage.in.endpoint_model;
    }
    if (!stage.in.traces.empty()) {
      R1_ASSIGN(const std::string hash, Sha256OfFile(stage.in.traces));
      (*entry)["data"].push_back({{"name", stage.in.traces}, {"sha256", hash}});
      shaping += hash;
    }
    for (const std::string& name : SplitList(stage.in.data)) {
      job.data.push_back(DataFile(name, stage));
      R1_ASSIGN(const std::string hash, Sha256OfFile(job.data.back()));
      (*entry)["data"].push_back({{"name", name}, {"sha256", hash}});
      shaping += hash;
    }
    job.hash = Sha256(shaping);
    (*entry)["config_sha256"] = job.hash;
    return Result<Job>(std::move(job));
  }

  Status RunStage(RecipeStage& stage) {
    Json entry;
    Result<Job> job = Prepare(stage, &entry);
    Status done;
    if (!job.ok()) done = job.error();
    if (done.ok()) done = Dispatch(*job);
    if (done.ok()) done = Record(*job, &entry);
    manifest_["stages"].push_back(entry);
    return done;
  }

  // Says what a stage that trains will take, and refuses what cannot fit before anything of it is allocated.
  Status CheckStageMemory(const Job& job) {
    ModelConfig model = job.config;
    if (StageOptimizer(job.stage) != nullptr && !job.model.empty()) {
      R1_ASSIGN(model, ReadModelConfig(job.model));
    }
    std::vector<ModelConfig> beside;
    for (const std::string* folder : {&job.helpful, &job.harmless, &job.teacher}) {
      if (folder->empty()) continue;
      R1_ASSIGN(beside.emplace_back(), ReadModelConfig(*folder));
    }
    R1_ASSIGN(const auto memory, StageMemory(job.stage, model, beside, pool_.threads()));
    if (!memory.has_value()) return {};
    Say(fmt::format("{}: memory {}\n", job.stage.name, MemoryText(*memory)));
    return CheckMemory(*memory, TotalMemoryBytes(), job.stage.name);
  }

  Status Dispatch(const Job& job) {
    RecipeStage& stage = job.stage;
    R1_TRY(CheckStageMemory(job));
    if (const auto* c = std::get_if<PretrainConfig>(&stage.settings)) {
      Model model(job.config, true);
      model.Init(Seed());
      return RunPretrain(model, *tokenizer_, WithReasoning(odds_, stage.in.reasoning), *c, Seed(), job.folder, job.hash,
                         pool_, stage.name);
    }
    if (const auto* c = std::get_if<SftConfig>(&stage.settings)) return Sft(job, *c);
    if (const auto* c = std::get_if<RlConfig>(&stage.settings)) return Rl(job, *c);
    if (const auto* c = std::get_if<RewardModelConfig>(&stage.settings)) return RewardModel(job, *c);
    if (const auto* c = std::get_if<EvalConfig>(&stage.settings)) return Evaluate(job, *c);
    return MakeData(job);
  }

  // The adapter that a stage trains in place of the weights, named after the model as the run folder sees it.
  Status AddLora(const Job& job, const LoraConfig& lora, Model* model) const {
    if (!lora.on()) return {};
    const std::string& base = job.stage.in.model;
    return model->AddAdapter(
        lora, Seed(), recipe_.Find(base) != nullptr ? JoinPath(base, BaseName(job.model)) : job.model, job.stage.name);
  }

  Status Sft(const Job& job, const SftConfig& config) {
    std::vector<TokenDocument> documents;
    for (const std::string& file : job.data) {
      R1_ASSIGN(std::vector<TokenDocument> more, LoadSftData(file, *text_));
      documents.insert(documents.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    R1_ASSIGN(Model model, LoadModel(job.model, true, pool_));
    R1_TRY(AddLora(job, config.lora, &model));
    std::optional<Model> teacher;
    if (!job.teacher.empty()) {
      R1_ASSIGN(Model loaded, LoadModel(job.teacher, false, pool_));
      teacher.emplace(std::move(loaded));
    }
    return RunSft(model, *text_, std::move(documents), config, Seed(), job.folder, job.hash, pool_, job.stage.name,
                  teacher.has_value() ? &*teacher : nullptr);
  }

  // Evaluations and preferences are about the world, whose words a published tokenizer does not know.
  Status NeedsWorld(const Job& job, const char* what) const {
    if (text_->is_world()) return {};
    return Error{ErrorCode::kRefused,
                 job.stage.name + ": " + what + " is about the built-in world; the model has its own chat format"};
  }

  Status Rl(const Job& job, const RlConfig& config) {
    if (config.eval_steps > 0) R1_TRY(NeedsWorld(job, "the evaluation of eval_steps"));
    R1_ASSIGN(Model model, LoadModel(job.model, true, pool_));
    R1_TRY(AddLora(job, config.lora, &model));
    RlHooks hooks;
    for (const std::string& file : job.data) {
      R1_ASSIGN(std::vector<Problem> more, LoadProblems(file));
      hooks.problems.insert(hooks.problems.end(), std::make_move_iterator(more.begin()),
                            std::make_move_iterator(more.end()));
    }
    std::optional<Model> helpful, harmless;
    for (const auto& [folder, place] : {std::pair{&job.helpful, &helpful}, {&job.harmless, &harmless}}) {
      if (folder->empty()) continue;
      R1_ASSIGN(Model loaded, LoadModel(*folder, false, pool_));
      place->emplace(std::move(loaded));
    }
    if (helpful.has_value()) hooks.helpful = &*helpful;
    if (harmless.has_value()) hooks.harmless = &*harmless;
    const CurveConfig curve{recipe_.curve_problems, recipe_.curve_samples, recipe_.corpus == "wide"};
    hooks.evaluate = [&](const Model& policy, int64_t, Metrics* metrics) -> Status {
      R1_ASSIGN(const auto measured, EvaluateForCurve(policy, *tokenizer_, curve, Seed(), pool_));
      metrics->insert(metrics->end(), measured.begin(), measured.end());
      return {};
    };
    return RunRl(model, *text_, config, Seed(), job.folder, job.hash, pool_, job.stage.name, hooks);
  }

  Status RewardModel(const Job& job, const RewardModelConfig& config) {
    const std::optional<RewardKind> kind = RewardKindFromName(config.reward_kind);
    R1_CHECK(kind.has_value(), "the recipe's validation let an unknown kind of reward model pass");
    std::vector<RewardExample> data;
    for (const std::string& file : job.data) {
      R1_ASSIGN(std::vector<RewardExample> more, LoadRewardData(file, *kind, *text_));
      data.insert(data.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    R1_ASSIGN(Model model, LoadBody(job.model, 1, pool_, Seed()));
    R1_TRY(RunRewardModel(model, *text_, data, config, Seed(), job.folder, job.hash, pool_, job.stage.name));
    R1_ASSIGN(const nlohmann::json eval, ReadJsonFile(JoinPath(job.folder, "eval.json")));
    const auto number = [&](const char* key) {  // null: nothing was held out
      return eval.contains(key) && eval[key].is_number() ? eval[key].get<double>() : 0.0;
    };
    Say(fmt::format("{}: {:.0f} held out, accuracy {:.1f} %, calibration error {:.3f}\n", job.stage.name,
                    number("held_out"), 100 * number("accuracy"), number("ece")));
    return {};
  }

  // From a model (with its own tokenizer), a file of recorded replies or an endpoint.
  Status Sample(const Job& job, const SampleConfig& config) {
    const StageInputs& in = job.stage.in;
    if (!in.traces.empty())
      return SampleFromTraces(in.traces, *text_, config, Seed(), job.folder, pool_, job.stage.name);
    if (!in.endpoint.empty()) {
      ChatOptions options;
      options.base_url = in.endpoint;
      options.model = in.endpoint_model;
      R1_ASSIGN(options.http.key, KeyFromEnvironment(in.endpoint_key_env));
      R1_ASSIGN(const ChatClient teacher, ChatClient::Create(options));
      return SampleFromEndpoint(teacher, *text_, config, Seed(), job.folder, pool_, job.stage.name);
    }
    R1_ASSIGN(const Model model, LoadModel(job.model, false, pool_));
    R1_ASSIGN(const ModelText text, ModelText::Load(job.model));
    return RunSample(model, text, config, Seed(), job.folder, pool_, job.stage.name);
  }

  // Stages that leave files instead of a model: done is done.
  Status MakeData(const Job& job) {
    const std::string path = JoinPath(job.folder, "done.json");
    R1_TRY(MakeDirs(job.folder));
    if (Exists(path)) return CheckDone(path, job.hash);
    const auto began = std::chrono::steady_clock::now();
    if (const auto* c = std::get_if<SampleConfig>(&job.stage.settings)) {
      R1_TRY(Sample(job, *c));
    } else {
      R1_TRY(NeedsWorld(job, "this stage of preferences"));
      R1_ASSIGN(const Model model, LoadModel(job.model, false, pool_));
      R1_TRY(RunPreferences(model, *tokenizer_, std::get<PreferencesConfig>(job.stage.settings), Seed(), job.folder,
                            pool_));
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    R1_ASSIGN(const nlohmann::json stats, ReadJsonFile(JoinPath(job.folder, "stats.json")));
    Say(fmt::format("{}: {}\n", job.stage.name, stats.dump()));
    Json done;
    done["config_sha256"] = job.hash;
    done["wall_time"] = seconds;
    return WriteFileAtomic(path, ToPrettyText(done));
  }

  static Status CheckDone(const std::string& path, const std::string& hash) {
    R1_ASSIGN(const nlohmann::json old, ReadJsonFile(path));
    if (old.value("config_sha256", "") == hash) return {};
    return Error{ErrorCode::kRefused, path + " was made with other settings; give another --output-dir"};
  }

  Status Evaluate(const Job& job, const EvalConfig& config) {
    const std::string path = JoinPath(job.folder, "eval.json");
    R1_TRY(MakeDirs(job.folder));
    if (Exists(path)) return CheckDone(path, job.hash);
    R1_TRY(NeedsWorld(job, "an evaluation"));
    R1_ASSIGN(const Model model, LoadModel(job.model, false, pool_));
    R1_ASSIGN(const EvalResult result, EvaluateWorld(model, *tokenizer_, config, Seed(), pool_));
    R1_TRY(WriteFileAtomic(JoinPath(job.folder, "traces.jsonl"), TracesText(result)));
    Json j = EvalToJson(result);
    j["config_sha256"] = job.hash;
    j["wall_time"] = result.seconds;
    R1_TRY(WriteFileAtomic(path, ToPrettyText(j)));
    Say(fmt::format("\n== {} ({}) ==\n{}", job.stage.name, job.stage.in.model, EvalText(result)));
    for (size_t i = 0; i < result.traces.size() && i < kShownTraces; ++i) {
      Say(fmt::format("  {}\n    {} {}\n", result.traces[i].prompt, result.traces[i].completion,
                      result.traces[i].correct ? "[right]" : "[wrong]"));
    }
    Say("\n");
    return {};
  }

  // What a finished stage adds to the lineage and to the results.
  Status Record(const Job& job, Json* entry) {
    const RecipeStage& stage = job.stage;
    if (stage.kind == "eval") return {};
    Json line;
    line["name"] = stage.name;
    line["kind"] = stage.kind;
    for (const auto& [role, name] : {std::pair{"model", &stage.in.model},
                                     {"helpful", &stage.in.helpful},
                                     {"harmless", &stage.in.harmless},
                                     {"teacher", &stage.in.teacher}}) {
      if (!name->empty()) line[role] = *name;
    }
    if (stage.kind == "pretrain") {
      line["preset"] = stage.in.preset.empty() ? recipe_.preset : stage.in.preset;
      line["reasoning"] = stage.in.reasoning;
    }
    if (!stage.in.data.empty()) line["data"] = SplitList(stage.in.data);
    if (const auto* rl = std::get_if<RlConfig>(&stage.settings)) {
      line["algorithm"] = rl->loss.algorithm;
      line["task"] = rl->task;
    }
    double seconds = 0;
    if (stage.kind == "sample" || stage.kind == "preferences") {
      R1_ASSIGN(const nlohmann::json done, ReadJsonFile(JoinPath(job.folder, "done.json")));
      R1_ASSIGN(const nlohmann::json stats, ReadJsonFile(JoinPath(job.folder, "stats.json")));
      seconds = done.value("wall_time", 0.0);
      line["sampled_tokens"] = stats.value("sampled_tokens", 0.0);
    } else {
      R1_ASSIGN(const std::string result, ResolveModelFolder(job.folder));
      R1_ASSIGN((*entry)["result_sha256"], Sha256OfFile(JoinPath(result, "model.safetensors")));
      (*entry)["checkpoint"] = JoinPath(stage.name, BaseName(result));
      R1_ASSIGN(const std::string config_text, ReadFile(JoinPath(result, "config.json"), kMaxSmallFile));
      R1_ASSIGN(const ModelConfig config, ModelConfigFromJson(config_text, result));
      line["parameters"] = CountParams(config).total;
      const std::string metrics = JoinPath(job.folder, "metrics.jsonl");
      seconds = SumMetric(metrics, "step_time");
      line["trained_tokens"] = SumMetric(metrics, stage.kind == "rl" ? "trained_tokens" : "tokens");
      if (stage.kind == "rl") line["sampled_tokens"] = LastMetric(metrics, "num_tokens");
      tokens_[stage.name] = line["trained_tokens"];
    }
    line["seconds"] = seconds;
    times_[stage.name] = seconds;
    total_seconds_ += seconds;
    pipeline_.push_back(line);
    return {};
  }

  Status WriteManifest() { return WriteFileAtomic(JoinPath(folder_, "manifest.json"), ToPrettyText(manifest_)); }

  Result<RunOutcome> Finish() {
    Json results;
    results["name"] = recipe_.name;
    results["seed"] = recipe_.seed;
    results["preset"] = recipe_.preset;
    results["stages"] = Json::array();
    double eval_time = 0;
    for (const auto& stage : recipe_.stages) {
      if (stage->kind != "eval") continue;
      R1_ASSIGN(const nlohmann::json eval, ReadJsonFile(JoinPath(StageFolder(stage->name), "eval.json")));
      eval_time += eval.value("wall_time", 0.0);
      Json kept;
      for (const auto& [key, value] : eval.items()) {
        if (key != "wall_time" && key != "config_sha256") kept[key] = value;
      }
      const std::string label = stage->name.rfind("eval_", 0) == 0 ? stage->name.substr(5) : stage->name;
      results["stages"].push_back({{"name", label}, {"model", stage->in.model}, {"eval", kept}});
    }
    times_["eval"] = eval_time;
    times_["total"] = total_seconds_ + eval_time;
    results["times"] = times_;
    results["tokens"] = tokens_;
    results["pipeline"] = pipeline_;
    RunOutcome outcome{folder_, JoinPath(folder_, "results.json"), JoinPath(folder_, "report.html")};
    R1_TRY(WriteFileAtomic(outcome.results_path, ToPrettyText(results)));
    R1_TRY(WriteReport({folder_}, outcome.report_path));
    return outcome;
  }

  Recipe& recipe_;
  const RunOptions& options_;
  std::string folder_;
  ThreadPool pool_;
  CorpusOdds odds_;
  std::optional<Tokenizer> tokenizer_;
  std::string text_folder_;  // of the model from outside whose format is used; "": none
  std::optional<ModelText> text_;
  int64_t model_vocab_ = 0;
  Json manifest_;
  Json times_ = Json::object(), tokens_ = Json::object(), pipeline_ = Json::array();
  double total_seconds_ = 0;
};

}  // namespace

std::string RunFolder(const Recipe& recipe, const RunOptions& options) {
  return options.output_dir.empty() ? fmt::format("runs/{}-seed{}", recipe.name, recipe.seed) : options.output_dir;
}

Result<RunOutcome> RunRecipe(Recipe& recipe, const RunOptions& options) {
  return Runner(recipe, options, RunFolder(recipe, options)).Run();
}

}  // namespace r1
