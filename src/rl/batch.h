// One rollout with its grades and advantages: what the update reads, and what of it is reported.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "infer/rollout.h"
#include "reward/rewards.h"
#include "text/chat_prompt.h"
#include "train/run_files.h"
#include "world/task.h"

namespace r1 {

// A sampled reply. Vectors [T] have an entry a token of the reply; empty ones stand for what is said beside them.
struct Rollout {
  size_t prompt = 0;  // index of its group
  int64_t sample = 0;
  std::vector<int32_t> tokens;  // prompt and reply
  int64_t prompt_tokens = 0;
  ThinkState think = ThinkState::kOutside;  // of its beginning: what the prompt ends in
  bool tight = false;                       // as EncodedPrompt (data/model_text.h)
  Completion completion;
  std::string reply;  // text
  Reward reward;
  ReplyFacts facts;
  int64_t think_tokens = 0;

  std::vector<float> old_logp_T;          // the policy's before the updates; empty: completion.logp
  std::vector<float> ref_logp_T;          // the reference's; empty: there is none
  std::vector<double> weight_T;           // importance weights; empty: 1
  std::vector<double> value_T, target_T;  // the value model's before the updates, and what it is to learn
  double advantage = 0;                   // of every token; the mean if they differ
  std::vector<double> token_advantage_T;  // empty: advantage

  size_t length() const { return completion.tokens.size(); }
  bool truncated() const { return completion.finish == FinishReason::kLength; }
  const std::vector<float>& old_logp() const { return old_logp_T.empty() ? completion.logp : old_logp_T; }
  double AdvantageAt(size_t t) const { return token_advantage_T.empty() ? advantage : token_advantage_T[t]; }
};

struct RolloutBatch {
  std::vector<TaskProblem> problems;
  int64_t generations = 0;        // replies of a group
  std::vector<Rollout> rollouts;  // groups in order, samples in order
  std::vector<Rollout> greedy;    // the likeliest reply to each prompt, where the algorithm needs it
  std::vector<size_t> kept;       // groups to learn from, in order; all without dynamic sampling
  bool dynamic = false;           // dynamic sampling chose them
  bool mixed = false;             // more tasks than pick: they are named in files and metrics
  int64_t rounds = 0;
  int64_t sampled_tokens = 0;
  double mean_group_std = 0;
  double zero_std_share = 0;

  std::span<Rollout> Group(size_t prompt) {
    return {rollouts.data() + prompt * static_cast<size_t>(generations), static_cast<size_t>(generations)};
  }
  std::span<const Rollout> Group(size_t prompt) const {
    return {rollouts.data() + prompt * static_cast<size_t>(generations), static_cast<size_t>(generations)};
  }
};

// Reward, length, reflection and language metrics of all replies of a batch (TRL's names where it has them).
void AppendBatchMetrics(const RolloutBatch& batch, Metrics* metrics);

// One JSON line a completion.
std::string CompletionsText(const RolloutBatch& batch, int64_t step);

}  // namespace r1
