// One rollout with its grades and advantages: what the update reads.
#pragma once

#include <string>
#include <vector>

#include "infer/rollout.h"
#include "reward/rewards.h"
#include "rl/config.h"
#include "text/tokenizer.h"
#include "train/run_files.h"
#include "world/pick.h"
#include "world/reply.h"
#include "world/words.h"

namespace r1 {

struct Rollout {
  size_t prompt = 0;  // index of its group
  int64_t sample = 0;
  std::vector<int32_t> tokens;  // prompt and reply
  int64_t prompt_tokens = 0;
  Completion completion;
  std::string reply;  // text
  Reward reward;
  ReplyFacts facts;
  int64_t think_tokens = 0;
  double advantage = 0;
};

struct RolloutBatch {
  std::vector<PickProblem> problems;
  std::vector<std::string> prompts;
  std::vector<Rollout> rollouts;  // groups in order, samples in order
  double mean_group_std = 0;
  double zero_std_share = 0;
};

// Samples num_generations replies to num_prompts training problems from problem `cursor` on, grades them and computes
// advantages.
Result<RolloutBatch> SampleBatch(RolloutEngine& engine, const Tokenizer& tokenizer, const RlConfig& config,
                                 const RewardSet& rewards, uint64_t seed, uint64_t cursor, uint32_t step,
                                 int64_t model_vocab, ThreadPool& pool, double* rollout_seconds);

// Reward, length, reflection and language metrics of a batch (TRL's names where it has them).
void AppendBatchMetrics(const RolloutBatch& batch, Metrics* metrics);

// One JSON line a completion.
std::string CompletionsText(const RolloutBatch& batch, int64_t step);

}  // namespace r1
