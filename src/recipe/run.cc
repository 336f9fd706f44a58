#include "recipe/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/corpus_stream.h"
#include "kernels/kernels.h"
#include "model/io.h"
#include "recipe/report.h"
#include "rl/loop.h"
#include "train/run_files.h"

namespace r1 {

namespace {

constexpr int64_t kMaxSmallFile = int64_t{64} << 20;
constexpr size_t kShownTraces = 3;
constexpr int64_t kVocabMultiple = 32;

using Json = nlohmann::ordered_json;

// One process at a time works in a run folder; the lock goes with the process.
class FolderLock {
 public:
  static Result<FolderLock> Take(const std::string& folder) {
    const std::string path = JoinPath(folder, ".lock");
    const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0) return FileError("open", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd);
      return Error{ErrorCode::kTryAgain,
                   folder + " is in use by another r1 process; wait for it or choose another --output-dir"};
    }
    return Result<FolderLock>(FolderLock(fd));
  }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// Sum of a metric over a stage's steps.
double SumMetric(const std::string& path, const char* name) {
  const Result<std::string> text = ReadFile(path, kMaxSmallFile * 16);
  double sum = 0;
  for (size_t at = 0; text.ok() && at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const auto line = ParseJson(std::string_view(*text).substr(at, end - at), path);
    if (line.ok() && line->is_object() && line->contains(name) && (*line)[name].is_number())
      sum += (*line)[name].get<double>();
    at = end + 1;
  }
  return sum;
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
    R1_TRY(KeepRecipe());
    R1_TRY(PrepareTokenizer());
    Say(fmt::format("tokenizer: {} tokens, every word and number of the world is one of them\n", tokenizer_->size()));
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
  void Say(const std::string& text) const {
    if (!options_.quiet) {
      std::fputs(text.c_str(), stdout);
      std::fflush(stdout);
    }
  }
  std::string StageFolder(const std::string& name) const { return JoinPath(folder_, name); }

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

  Status PrepareTokenizer() {
    const std::string path = JoinPath(folder_, "tokenizer.json");
    if (Exists(path)) {
      R1_ASSIGN(Tokenizer loaded, Tokenizer::Load(path));
      tokenizer_.emplace(std::move(loaded));
    } else {
      R1_ASSIGN(Tokenizer trained, TrainTokenizer(static_cast<uint64_t>(recipe_.seed),
                                                  static_cast<uint64_t>(recipe_.tokenizer_documents)));
      R1_TRY(WriteFileAtomic(path, trained.ToJson()));
      tokenizer_.emplace(std::move(trained));
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

  Status RunStage(RecipeStage& stage) {
    Json entry;
    entry["name"] = stage.name;
    entry["kind"] = stage.kind;
    std::string parent_hash;
    std::string model_folder;
    if (stage.kind != "pretrain") {
      R1_ASSIGN(model_folder, InputModel(stage));
      R1_ASSIGN(parent_hash, Sha256OfFile(JoinPath(model_folder, "model.safetensors")));
      entry["model"] = stage.model;
      entry["model_sha256"] = parent_hash;
    }
    ModelConfig config = recipe_.model;
    config.vocab_size = model_vocab_;
    const std::string shaping = ShapingText(stage) + ModelConfigToJson(config) + std::to_string(recipe_.seed) +
                                Sha256(tokenizer_->ToJson()) + parent_hash;
    const std::string hash = Sha256(shaping);
    entry["config_sha256"] = hash;
    const std::string folder = StageFolder(stage.name);
    const uint64_t seed = static_cast<uint64_t>(recipe_.seed);
    Status done;
    if (auto* pretrain = std::get_if<PretrainConfig>(&stage.settings)) {
      Model model(config, true);
      model.Init(seed);
      done = RunPretrain(model, *tokenizer_, *pretrain, seed, folder, hash, pool_, stage.name);
    } else if (auto* rl = std::get_if<RlConfig>(&stage.settings)) {
      R1_ASSIGN(Model model, LoadModel(model_folder, true, pool_));
      done = RunRl(model, *tokenizer_, *rl, seed, folder, hash, pool_, stage.name);
    } else {
      done = Evaluate(stage, std::get<EvalConfig>(stage.settings), model_folder, hash);
    }
    if (done.ok() && stage.kind != "eval") {
      R1_ASSIGN(const std::string result, ResolveModelFolder(folder));
      R1_ASSIGN(entry["result_sha256"], Sha256OfFile(JoinPath(result, "model.safetensors")));
      entry["checkpoint"] = JoinPath(stage.name, BaseName(result));
      const std::string metrics = JoinPath(folder, "metrics.jsonl");
      times_[stage.name] = SumMetric(metrics, "step_time");
      stage_tokens_[stage.name] = SumMetric(metrics, stage.kind == "rl" ? "trained_tokens" : "tokens");
    }
    manifest_["stages"].push_back(entry);
    return done;
  }

  Result<std::string> InputModel(const RecipeStage& stage) {
    for (const auto& other : recipe_.stages) {
      if (other->name == stage.model && other->kind != "eval") return ResolveModelFolder(StageFolder(stage.model));
    }
    return ResolveModelFolder(stage.model);
  }

  Status Evaluate(const RecipeStage& stage, const EvalConfig& config, const std::string& model_folder,
                  const std::string& hash) {
    const std::string folder = StageFolder(stage.name), path = JoinPath(folder, "eval.json");
    R1_TRY(MakeDirs(folder));
    if (Exists(path)) {
      R1_ASSIGN(const nlohmann::json old, ReadJsonFile(path));
      if (old.value("config_sha256", "") == hash) return {};
      return Error{ErrorCode::kRefused, path + " was made with other settings; give another --output-dir"};
    }
    R1_ASSIGN(const Model model, LoadModel(model_folder, false, pool_));
    R1_ASSIGN(const EvalResult result,
              EvaluateWorld(model, *tokenizer_, config, static_cast<uint64_t>(recipe_.seed), pool_));
    R1_TRY(WriteFileAtomic(JoinPath(folder, "traces.jsonl"), TracesText(result)));
    Json j = EvalToJson(result);
    j["config_sha256"] = hash;
    j["wall_time"] = result.seconds;
    R1_TRY(WriteFileAtomic(path, ToPrettyText(j)));
    Say(fmt::format("\n== {} ({}) ==\n{}", stage.name, stage.model, EvalText(result)));
    for (size_t i = 0; i < result.traces.size() && i < kShownTraces; ++i) {
      Say(fmt::format("  {}\n    {} {}\n", result.traces[i].prompt, result.traces[i].completion,
                      result.traces[i].correct ? "[right]" : "[wrong]"));
    }
    Say("\n");
    return {};
  }

  Status WriteManifest() { return WriteFileAtomic(JoinPath(folder_, "manifest.json"), ToPrettyText(manifest_)); }

  Result<RunOutcome> Finish() {
    Json results;
    results["name"] = recipe_.name;
    results["seed"] = recipe_.seed;
    results["preset"] = recipe_.preset;
    results["stages"] = Json::array();
    double total = 0, eval_time = 0;
    Json times, tokens;
    for (const auto& stage : recipe_.stages) {
      if (stage->kind != "eval") {
        times[stage->name] = times_[stage->name];
        total += times_[stage->name];
        tokens[stage->name] = stage_tokens_[stage->name];
        continue;
      }
      R1_ASSIGN(const nlohmann::json eval, ReadJsonFile(JoinPath(StageFolder(stage->name), "eval.json")));
      eval_time += eval.value("wall_time", 0.0);
      Json kept;
      for (const auto& [key, value] : eval.items()) {
        if (key != "wall_time" && key != "config_sha256") kept[key] = value;
      }
      const std::string label = stage->name.rfind("eval_", 0) == 0 ? stage->name.substr(5) : stage->name;
      results["stages"].push_back({{"name", label}, {"model", stage->model}, {"eval", kept}});
    }
    times["eval"] = eval_time;
    times["total"] = total + eval_time;
    results["times"] = times;
    results["tokens"] = tokens;
    RunOutcome outcome{folder_, JoinPath(folder_, "results.json"), JoinPath(folder_, "report.html")};
    R1_TRY(WriteFileAtomic(outcome.results_path, ToPrettyText(results)));
    R1_TRY(WriteReport({folder_}, outcome.report_path));
    return outcome;
  }

  Recipe& recipe_;
  const RunOptions& options_;
  std::string folder_;
  ThreadPool pool_;
  std::optional<Tokenizer> tokenizer_;
  int64_t model_vocab_ = 0;
  Json manifest_;
  std::map<std::string, double> times_, stage_tokens_;
};

}  // namespace

std::string RunFolder(const Recipe& recipe, const RunOptions& options) {
  return options.output_dir.empty() ? fmt::format("runs/{}-seed{}", recipe.name, recipe.seed) : options.output_dir;
}

Result<RunOutcome> RunRecipe(Recipe& recipe, const RunOptions& options) {
  return Runner(recipe, options, RunFolder(recipe, options)).Run();
}

}  // namespace r1
