#include "recipe/report_data.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "recipe/report_read.h"

namespace r1 {
namespace {

using nlohmann::json;

constexpr size_t kMaxTraces = 20000;    // an evaluation of 500 problems with 16 samples has 8000
constexpr size_t kCompletionSteps = 5;  // how many steps of completions a report shows
constexpr size_t kSamplesPerStep = 4096;

Status ReadMetrics(const std::string& path, std::vector<std::string>* notes, StageLog* log) {
  int64_t empty_values = 0;
  const auto row = [&](const json& object, const std::string& where) -> Status {
    double step = 0;
    R1_TRY(GetNumber(object, "step", where, &step));
    if (!log->step.empty() && step <= log->step.back()) {
      return Malformed(where, "\"step\" must grow from line to line; the line before has " +
                                  std::to_string(static_cast<int64_t>(log->step.back())));
    }
    const size_t rows = log->step.size();
    for (const auto& [key, value] : object.items()) {
      if (key == "step") continue;
      if (value.is_null()) ++empty_values;
      if (value.is_null() || value.is_string()) continue;
      double number = 0;
      if (value.is_boolean()) {
        number = value.get<bool>() ? 1 : 0;
      } else if (value.is_number()) {
        number = value.get<double>();
      } else {
        return Malformed(where, "the value of " + Quote(key) + " must be a number, a text or null");
      }
      std::vector<double>& column = log->columns[key];
      column.resize(rows, kMissing);
      column.push_back(number);
    }
    log->step.push_back(step);
    return {};
  };
  R1_TRY(ReadJsonLines(path, notes, std::numeric_limits<size_t>::max(), row));
  for (auto& [name, column] : log->columns) column.resize(log->step.size(), kMissing);
  if (log->step.empty()) notes->push_back(path + " has no complete line yet.");
  if (empty_values > 0) {
    notes->push_back(path + ": " + std::to_string(empty_values) +
                     " values are null, which is how a run writes what is not a finite number; the "
                     "curves have gaps there.");
  }
  return {};
}

Status ReadEval(const json& stage, const std::string& where, RunData* run) {
  if (!stage.is_object()) return Malformed(where, "each of \"stages\" must be an object");
  StageEval eval;
  R1_TRY(GetText(stage, "name", where, &eval.name));
  R1_TRY(OptionalText(stage, "model", where, &eval.model));
  const auto values = stage.find("eval");
  if (values == stage.end() || values->is_null()) return {};
  if (!values->is_object()) return Malformed(where, "\"eval\" of stage " + Quote(eval.name) + " must be an object");
  for (const auto& [key, value] : values->items()) {
    if (value.is_number()) eval.values[key] = value.get<double>();
  }
  for (const char* share : {"pass@1",
                            "cons@16",
                            "cons@64",
                            "pass@16",
                            "format",
                            "truncated",
                            "reflection",
                            "mixed",
                            "language",
                            "think_share",
                            "think_accuracy",
                            "first_try_right",
                            "sums_right",
                            "general",
                            "verifier_yes_given_wrong",
                            "verifier_yes_given_right",
                            "code@1",
                            "helpful",
                            "safe",
                            "over_refusal",
                            "direct_pass@1"}) {
    const double value = eval.Get(share);
    if (!std::isnan(value) && (value < 0 || value > 1)) {
      return Malformed(where,
                       "\"" + std::string(share) + "\" of stage " + Quote(eval.name) + " must lie between 0 and 1");
    }
  }
  run->evals.push_back(std::move(eval));
  return {};
}

// In the order of the recipe as far as it is known, sums last.
int TableRank(const RunData& run, const std::string& name) {
  for (size_t i = 0; i < run.pipeline.size(); ++i) {
    if (run.pipeline[i].name == name) return static_cast<int>(i);
  }
  const int after = static_cast<int>(run.pipeline.size());
  if (name == "pretrain") return after;
  if (name == "eval") return after + 2;
  return after + (name == "total" ? 3 : 1);
}

Status ReadResults(const std::string& path, RunData* run) {
  if (!Exists(path)) {
    run->notes.push_back(path +
                         " is not there (the run is not finished, or has no evaluation): no "
                         "results table for this run.");
    return {};
  }
  R1_ASSIGN(const json object, ReadJsonFile(path));
  if (!object.is_object()) return Malformed(path, "must hold a JSON object");
  R1_TRY(OptionalText(object, "name", path, &run->name));
  R1_TRY(OptionalText(object, "preset", path, &run->preset));
  R1_TRY(OptionalCount(object, "seed", path, &run->seed));
  if (const auto stages = object.find("stages"); stages != object.end()) {
    if (!stages->is_array()) return Malformed(path, "\"stages\" must be an array");
    for (const json& stage : *stages) R1_TRY(ReadEval(stage, path, run));
  }
  R1_TRY(ReadPipeline(object, path, run));
  R1_TRY(ReadNumberTable(object, "times", path, &run->times));
  R1_TRY(ReadNumberTable(object, "tokens", path, &run->tokens));
  for (auto* table : {&run->times, &run->tokens}) {  // JSON keeps no order: the first stage first, sums last
    std::stable_sort(table->begin(), table->end(), [run](const auto& a, const auto& b) {
      return TableRank(*run, a.first) < TableRank(*run, b.first);
    });
  }
  return {};
}

void Flatten(const json& value, const std::string& name, std::vector<std::pair<std::string, std::string>>* out) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, inner] : value.items()) Flatten(inner, name.empty() ? key : name + "." + key, out);
  } else if (value.is_array() && !value.empty()) {
    for (size_t i = 0; i < value.size(); ++i) Flatten(value[i], name + "[" + std::to_string(i) + "]", out);
  } else {
    out->emplace_back(name, value.is_string() ? value.get<std::string>() : ToLineText(value));
  }
}

Status ReadLineage(const std::string& folder, RunData* run) {
  const std::string manifest = JoinPath(folder, "manifest.json");
  if (Exists(manifest)) {
    R1_ASSIGN(const json object, ReadJsonFile(manifest));
    if (!object.is_object()) return Malformed(manifest, "must hold a JSON object");
    Flatten(object, "", &run->lineage);
    R1_TRY(ReadStageHashes(object, manifest, run));
  } else {
    run->notes.push_back(manifest + " is not there: the lineage of this run is unknown.");
  }
  const std::string recipe = JoinPath(folder, "recipe.toml");
  if (Exists(recipe)) {
    R1_ASSIGN(run->recipe, ReadFile(recipe, int64_t{1} << 20));
  } else {
    run->notes.push_back(recipe + " is not there: the configuration of this run is unknown.");
  }
  return {};
}

Status ReadTraces(const std::string& path, RunData* run, std::vector<Trace>* out) {
  return ReadJsonLines(path, &run->notes, kMaxTraces, [&](const json& object, const std::string& where) -> Status {
    Trace trace;
    const auto problem = object.find("problem");
    if (problem != object.end())
      trace.problem = problem->is_string() ? problem->get<std::string>() : ToLineText(*problem);
    R1_TRY(GetText(object, "prompt", where, &trace.prompt));
    R1_TRY(GetText(object, "completion", where, &trace.completion));
    const auto correct = object.find("correct");
    if (correct == object.end() || !(correct->is_boolean() || correct->is_number())) {
      return Malformed(where, "\"correct\" must be true or false");
    }
    trace.correct = correct->is_boolean() ? correct->get<bool>() : correct->get<double>() != 0;
    R1_TRY(OptionalCount(object, "tokens", where, &trace.tokens));
    out->push_back(std::move(trace));
    return {};
  });
}

Status ReadSample(const json& object, const std::string& where, CompletionSample* sample) {
  R1_TRY(OptionalCount(object, "step", where, &sample->step));
  R1_TRY(OptionalCount(object, "prompt_id", where, &sample->prompt_id));
  R1_TRY(OptionalCount(object, "sample", where, &sample->sample));
  R1_TRY(GetText(object, "prompt", where, &sample->prompt));
  R1_TRY(GetText(object, "completion", where, &sample->completion));
  R1_TRY(GetNumber(object, "reward", where, &sample->reward));
  R1_TRY(ReadNumberTable(object, "rewards", where, &sample->terms));
  R1_TRY(OptionalNumber(object, "advantage", where, &sample->advantage));
  R1_TRY(OptionalCount(object, "tokens", where, &sample->tokens));
  R1_TRY(OptionalText(object, "finish_reason", where, &sample->finish_reason));
  return {};
}

// N of "step_N.jsonl", -1 for another name.
int64_t StepOfName(const std::string& name) {
  constexpr std::string_view kHead = "step_", kTail = ".jsonl";
  if (name.size() <= kHead.size() + kTail.size() || name.rfind(kHead, 0) != 0) return -1;
  if (name.compare(name.size() - kTail.size(), kTail.size(), kTail) != 0) return -1;
  int64_t step = 0;
  for (size_t i = kHead.size(); i < name.size() - kTail.size(); ++i) {
    if (name[i] < '0' || name[i] > '9' || step > int64_t{1} << 50) return -1;
    step = step * 10 + (name[i] - '0');
  }
  return step;
}

// Reads a few steps, evenly from the first to the last.
Status ReadCompletions(const std::string& folder, const std::string& stage, RunData* run) {
  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  std::vector<std::pair<int64_t, std::string>> steps;
  for (const std::string& name : names) {
    if (const int64_t step = StepOfName(name); step >= 0) steps.emplace_back(step, name);
  }
  std::sort(steps.begin(), steps.end());
  const size_t count = std::min(kCompletionSteps, steps.size());
  for (size_t i = 0; i < count; ++i) {
    const auto& [step, name] = steps[count == 1 ? 0 : i * (steps.size() - 1) / (count - 1)];
    StepCompletions out{.stage = stage, .step = step, .samples = {}};
    R1_TRY(ReadJsonLines(JoinPath(folder, name), &run->notes, kSamplesPerStep,
                         [&](const json& object, const std::string& where) -> Status {
                           CompletionSample sample;
                           R1_TRY(ReadSample(object, where, &sample));
                           out.samples.push_back(std::move(sample));
                           return {};
                         }));
    run->completions.push_back(std::move(out));
  }
  return {};
}

// The order of the recipe; where it is not known, pretraining before what follows it.
int StageRank(const RunData& run, const StageLog& log) {
  for (size_t i = 0; i < run.pipeline.size(); ++i) {
    if (run.pipeline[i].name == log.name) return static_cast<int>(i);
  }
  const int after = static_cast<int>(run.pipeline.size());
  if (log.name == "pretrain" || log.name == "base") return after;
  return after + (log.Find("reward") == nullptr ? 1 : 2);
}

}  // namespace

const std::vector<double>* StageLog::Find(std::string_view metric) const {
  const auto it = columns.find(metric);
  return it == columns.end() ? nullptr : &it->second;
}

double StageEval::Get(std::string_view metric) const {
  const auto it = values.find(metric);
  return it == values.end() ? kMissing : it->second;
}

const StageEval* RunData::FindEval(std::string_view stage) const {
  for (const StageEval& eval : evals) {
    if (eval.name == stage) return &eval;
  }
  return nullptr;
}

const StageEval* RunData::EvalOfModel(std::string_view model) const {
  for (const StageEval& eval : evals) {
    if (eval.model == model) return &eval;
  }
  return FindEval(model);
}

const PipelineStage* RunData::FindStage(std::string_view stage) const {
  for (const PipelineStage& entry : pipeline) {
    if (entry.name == stage) return &entry;
  }
  return nullptr;
}

const StageLog* RunData::FindLog(std::string_view stage) const {
  for (const StageLog& log : stages) {
    if (log.name == stage) return &log;
  }
  return nullptr;
}

const StageLog* RunData::RlStage() const {
  for (const StageLog& log : stages) {
    if (log.Find("reward") != nullptr) return &log;
  }
  return nullptr;
}

const StageLog* RunData::PretrainStage() const {
  for (const StageLog& log : stages) {
    if (log.Find("reward") == nullptr && log.Find("loss") != nullptr) return &log;
  }
  return nullptr;
}

Result<RunData> ReadRunData(const std::string& folder) {
  if (!IsDir(folder)) {
    return Error{ErrorCode::kUnavailable,
                 "there is no run folder " + Quote(folder) + "; give the folder that 'r1 run' wrote"};
  }
  RunData run;
  run.folder = folder;
  while (run.folder.size() > 1 && run.folder.back() == '/') run.folder.pop_back();
  run.name = BaseName(run.folder);
  R1_TRY(ReadResults(JoinPath(folder, "results.json"), &run));
  run.recipe_name = run.name;
  R1_TRY(ReadLineage(folder, &run));

  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    const std::string inner = JoinPath(folder, name);
    if (!IsDir(inner)) continue;
    if (const std::string metrics = JoinPath(inner, "metrics.jsonl"); Exists(metrics)) {
      StageLog log;
      log.name = name;
      R1_TRY(ReadMetrics(metrics, &run.notes, &log));
      run.stages.push_back(std::move(log));
    }
    if (const std::string completions = JoinPath(inner, "completions"); IsDir(completions)) {
      R1_TRY(ReadCompletions(completions, name, &run));
    }
    if (const std::string traces = JoinPath(inner, "traces.jsonl"); name.rfind("eval_", 0) == 0 && Exists(traces)) {
      R1_TRY(ReadTraces(traces, &run, &run.traces[name.substr(5)]));
    }
    R1_TRY(ReadStageFiles(inner, name, &run));
  }
  std::stable_sort(run.stages.begin(), run.stages.end(),
                   [&](const StageLog& a, const StageLog& b) { return StageRank(run, a) < StageRank(run, b); });
  if (run.stages.empty() && run.evals.empty() && run.traces.empty()) {
    return Error{ErrorCode::kBadInput,
                 "nothing to report in " + Quote(folder) +
                     ": neither results.json nor a STAGE/metrics.jsonl nor eval_*/traces.jsonl is there"};
  }
  if (run.RlStage() == nullptr)
    run.notes.push_back(BaseName(run.folder) + ": no stage logs a reward, so there are no RL curves for this run.");
  if (run.traces.empty())
    run.notes.push_back(BaseName(run.folder) + ": no eval_*/traces.jsonl, so there are no evaluation traces to read.");
  // Notes stand on a page that may be passed on: paths in them start at the run folder.
  const std::string prefix = run.folder + "/", shown = BaseName(run.folder) + "/";
  for (std::string& note : run.notes) {
    if (note.rfind(prefix, 0) == 0) note.replace(0, prefix.size(), shown);
  }
  return run;
}

Result<std::vector<RunData>> ReadRuns(const std::vector<std::string>& folders) {
  if (folders.empty()) return Error{ErrorCode::kUsage, "give at least one run folder"};
  std::vector<RunData> runs;
  std::map<std::string, int> names, seeds;
  for (const std::string& folder : folders) {
    R1_ASSIGN(RunData run, ReadRunData(folder));
    ++names[run.name];
    ++seeds[run.name + "\n" + std::to_string(run.seed)];
    runs.push_back(std::move(run));
  }
  for (RunData& run : runs) {
    run.label = run.name;
    if (names[run.name] == 1) continue;
    const bool by_seed = std::all_of(runs.begin(), runs.end(), [&](const RunData& other) {
      return other.name != run.name || (other.seed >= 0 && seeds[run.name + "\n" + std::to_string(other.seed)] == 1);
    });
    const std::string own = by_seed ? "seed " + std::to_string(run.seed) : BaseName(run.folder);
    run.label = names.size() == 1 ? own : run.name + " (" + own + ")";
  }
  for (RunData& run : runs) {  // after all labels: they are found by name
    if (names[run.name] > 1 && names.size() == 1)
      run.name += " (" + run.label + ")";
    else if (names[run.name] > 1)
      run.name = run.label;
  }
  return Result<std::vector<RunData>>(std::move(runs));
}

}  // namespace r1
