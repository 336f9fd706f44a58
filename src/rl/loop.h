// The reinforcement-learning loop: rollout -> grade -> score -> advantage -> update -> metrics -> checkpoint. One set
// of weights in one process samples and learns; the trainer's log-probabilities are computed anew over packed sequences
// and compared with the sampler's bit by bit.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "data/model_text.h"
#include "data/problem_set.h"
#include "model/model.h"
#include "rl/config.h"
#include "train/run_files.h"

namespace r1 {

struct RlHooks {
  // Models with a scalar head, needed when the task mix has that kind.
  const Model* helpful = nullptr;
  const Model* harmless = nullptr;
  // Called after every config.eval_steps steps and after the last; appends "eval/..." metrics to that step's line. It
  // must be a function of the weights, so that a resumed run writes the same.
  std::function<Status(const Model& model, int64_t step, Metrics* metrics)> evaluate;
  // Samples instead of the policy, if not null (quantised or older weights); see importance_sampling.
  const Model* sampler = nullptr;
  // Of a task mix with data.
  std::vector<Problem> problems = {};
};

// Trains model (with weights loaded and packed by the caller, and the adapter of config.lora) in folder; resumes from
// its newest checkpoint. On Ctrl-C it saves and returns kInterrupted. Writes metrics.jsonl, completions/step_N.jsonl
// and checkpoint-N. The learning rate follows max_steps, or max_sampled_tokens where that is nearer to its end.
Status RunRl(Model& model, const ModelText& text, const RlConfig& config, uint64_t seed, const std::string& folder,
             const std::string& config_hash, ThreadPool& pool, const std::string& title, const RlHooks& hooks = {});

}  // namespace r1
