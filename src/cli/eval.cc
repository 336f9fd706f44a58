// r1 eval: how good a model is at the held-out problems of the built-in world.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/model_source.h"
#include "cli/output.h"
#include "eval/world_eval.h"

namespace r1::cli {
namespace {

struct EvalCommandConfig {
  EvalConfig eval;
  int64_t seed = 0;
  int64_t threads = 0;
  std::string output_dir;

  template <class V>
  void Fields(V& v) {
    eval.Fields(v);
    v("seed", seed,
      "of the random numbers: the same seed gives the same answers, on any machine and with any number of threads");
    v("threads", threads, "threads to compute with; 0: all cores. Changes the speed only");
    v("output_dir", output_dir,
      "folder for eval.json (the results) and traces.jsonl (answers to read); if not given, none is written");
  }
};

Result<int> Run(const EvalCommandConfig& config, const Invocation& invocation) {
  R1_TRY(ValidateEvalConfig(config.eval, "settings"));
  if (config.seed < 0) return Error{ErrorCode::kUsage, "--seed: must be 0 or more"};
  R1_ASSIGN(const std::unique_ptr<ThreadPool> pool, MakePool(config.threads));
  R1_ASSIGN(const OpenedModel opened, OpenModel(invocation.positionals[0], *pool));
  if (!opened.text.is_world())
    return Error{ErrorCode::kRefused, opened.folder +
                                          " has its own chat format; this command measures models of the "
                                          "built-in world, on its problems"};
  InstallInterruptHandler();
  LogInfo(
      fmt::format("{}: {} held-out problems x {} answers", opened.folder, config.eval.problems, config.eval.samples));
  R1_ASSIGN(const EvalResult result,
            EvaluateWorld(opened.model, opened.tokenizer(), config.eval, static_cast<uint64_t>(config.seed), *pool));
  if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted; nothing was written"};
  nlohmann::ordered_json json = EvalToJson(result);
  json["model"] = opened.folder;
  json["seed"] = config.seed;
  if (!config.output_dir.empty()) {
    R1_TRY(MakeDirs(config.output_dir));
    R1_TRY(WriteFileAtomic(JoinPath(config.output_dir, "eval.json"), ToPrettyText(json)));
    R1_TRY(WriteFileAtomic(JoinPath(config.output_dir, "traces.jsonl"), TracesText(result)));
  }
  if (invocation.json) {
    PrintJson(json);
  } else {
    Print(EvalText(result));
  }
  return 0;
}

}  // namespace

Command EvalCommand() {
  Command command;
  command.name = "eval";
  command.group = "Use a model";
  command.summary = "measure a model on held-out problems: accuracy, majority votes, how it thinks";
  command.description =
      "Asks a model every one of a fixed list of problems it has never been trained on, several times each. Prints "
      "pass@1 (the share of "
      "right answers) with its standard error over problems, pass@k (right at least once in k), cons@k (the majority "
      "of k is "
      "right), what the thinking looks like, the general tasks of the corpus, and how well the model judges sums it is "
      "shown.";
  command.examples = {{"r1 eval runs/zero/rl", "the newest checkpoint of a stage, 500 problems x 16 answers"},
                      {"r1 eval runs/zero/pretrain/checkpoint-3200 --problems 100 --samples 64 --json",
                       "the base model, with a vote of 64, for a script"}};
  command.positionals = {{"MODEL", "a model folder, a checkpoint, or a stage folder of a run"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
