// What a report knows about one run, read from its folder:
//   manifest.json   lineage: config, data and code hashes, parent, command lines (shown as it is)
//   recipe.toml     the resolved configuration
//   results.json    {"name","seed","preset","stages":[{"name","model","eval":{...}}],
//                   "times":{STAGE: seconds,"total"},"tokens":{STAGE: count},
//                   "pipeline":[{"name","kind","model","data":[],"helpful","harmless","teacher","preset","algorithm",
//                   "reasoning","parameters","trained_tokens","sampled_tokens","seconds"}]}
//   STAGE/metrics.jsonl            one object per step: "step" (strictly increasing), "num_tokens",
//   numbers by name; null: no value STAGE/completions/step_N.jsonl
//   {"step","prompt_id","sample","prompt","completion","reward","rewards":{},"advantage","tokens","finish_reason"}
//   eval_NAME/traces.jsonl         {"problem","prompt","completion","correct","tokens"}
//   STAGE/stats.json               of sampling: {"prompts","samples","kept","general","dropped":{reason: n},"tokens"};
//                                of preferences:
//                                {"judged","pairs","dropped_margin","dropped_balance","safety_examples"}
//   STAGE/eval.json                of a reward model: {"kind","train","held_out","accuracy","accuracy_stderr","brier",
//                                  "ece","bins":[{"confidence","accuracy","count"}]}
// A piece that is not there leaves its field empty and a sentence in notes; a malformed one is
// kBadInput with file and line. Only a last line without its newline may be broken: a run that is
// still writing, or was killed; it is left out with a note.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace r1 {

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// The metrics of one stage as columns; a column has one entry a row, kMissing where the row has no
// number.
struct StageLog {
  std::string name;
  std::vector<double> step;
  std::map<std::string, std::vector<double>, std::less<>> columns;
  const std::vector<double>* Find(std::string_view metric) const;  // nullptr if no row has a number for it
};

struct StageEval {
  std::string name;
  std::string model;  // the stage (or folder) that was measured; empty if not recorded
  std::map<std::string, double, std::less<>> values;
  double Get(std::string_view metric) const;  // kMissing if absent
};

struct Trace {
  std::string problem;
  std::string prompt;
  std::string completion;
  bool correct = false;
  int64_t tokens = 0;
};

struct CompletionSample {
  int64_t step = 0;
  int64_t prompt_id = 0;
  int64_t sample = 0;
  std::string prompt;
  std::string completion;
  double reward = 0;
  std::vector<std::pair<std::string, double>> terms;  // by name
  double advantage = kMissing;
  int64_t tokens = 0;
  std::string finish_reason;
};

struct StepCompletions {
  std::string stage;
  int64_t step = 0;
  std::vector<CompletionSample> samples;
};

// A stage of the recipe as results.json's "pipeline" has it. Inputs are names of earlier stages or paths.
struct PipelineStage {
  std::string name, kind;
  std::string model;              // the weights it starts from or samples with
  std::vector<std::string> data;  // what it trains on
  std::string helpful, harmless;  // reward models
  std::string teacher;            // whose probabilities it learns from
  std::string preset, algorithm;
  std::string reasoning;  // how much of the corpus reasons: a word or a share
  double parameters = kMissing, trained_tokens = kMissing, sampled_tokens = kMissing, seconds = kMissing;
  std::string hash;  // SHA-256 of the weights it made, from manifest.json
};

struct SampleStats {
  std::string name;
  double prompts = kMissing, samples = kMissing, kept = kMissing, general = kMissing, tokens = kMissing;
  double pairs = kMissing, safety = kMissing;  // of a stage that makes preferences; samples: pairs that were judged
  std::vector<std::pair<std::string, double>> dropped;
};

struct CalibrationBin {
  double confidence = kMissing, accuracy = kMissing, count = 0;
};

struct RewardModelEval {
  std::string name, kind;
  double train = kMissing, held_out = kMissing, accuracy = kMissing, accuracy_stderr = kMissing;
  double brier = kMissing, ece = kMissing;
  std::vector<CalibrationBin> bins;
};

struct RunData {
  std::string folder;       // as given
  std::string name;         // results.json's, else the folder's
  std::string recipe_name;  // name before runs of one report are told apart
  std::string label;        // tells it apart among the runs of one report: its name, seed or folder
  int64_t seed = -1;        // -1: unknown
  std::string preset;
  std::vector<StageEval> evals;                                   // base first
  std::vector<std::pair<std::string, double>> times;              // seconds
  std::vector<std::pair<std::string, double>> tokens;             // counts
  std::vector<StageLog> stages;                                   // in the order of the recipe as far as known
  std::map<std::string, std::vector<Trace>, std::less<>> traces;  // by evaluation: "base", "zero"
  std::vector<PipelineStage> pipeline;                            // in the order of the recipe
  std::vector<SampleStats> samples;
  std::vector<RewardModelEval> reward_models;
  std::vector<StepCompletions> completions;                  // a few steps, first to last
  std::vector<std::pair<std::string, std::string>> lineage;  // manifest.json flattened: dotted name, value as text
  std::string recipe;                                        // text of recipe.toml
  std::vector<std::string> notes;

  const StageEval* FindEval(std::string_view stage) const;      // nullptr if absent
  const StageEval* EvalOfModel(std::string_view model) const;   // the evaluation of a stage's weights
  const PipelineStage* FindStage(std::string_view name) const;  // nullptr if absent
  const StageLog* FindLog(std::string_view stage) const;        // nullptr if absent
  const StageLog* RlStage() const;                              // the first stage that logs a reward; nullptr if none
  const StageLog* PretrainStage() const;                        // the first stage that logs a loss but no reward
};

Result<RunData> ReadRunData(const std::string& folder);

// The runs of one report, at least one. Runs of one recipe have one name: their labels are "seed N" if the seeds
// differ, else their folders'; names that several runs share get that label in brackets.
Result<std::vector<RunData>> ReadRuns(const std::vector<std::string>& folders);

}  // namespace r1
