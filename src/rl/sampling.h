// The rollout of a step: prompts from the training list, replies, grades. A pure function of weights, seed, cursor and
// step, so that a step that was interrupted is sampled again to the same bytes.
//   Problem at `cursor` + i is of kind TaskOfIndex(mix, cursor + i); of kind data it is ProblemFeed::At(cursor + i).
//   Sample s of the i-th prompt of a step draws its random numbers from (seed, step, i, s, position). Dynamic sampling
//   (DAPO; training facts 11b): a group is kept if its gradable replies are neither all right nor all wrong (tasks
//   without right and wrong: if their rewards differ). Each round samples as many prompts as are missing, until
//   num_prompts groups are kept or max_sampling_rounds are done. The cursor moves on by all prompts that were used.
#pragma once

#include <vector>

#include "data/model_text.h"
#include "infer/rollout.h"
#include "rl/algorithm.h"
#include "rl/batch.h"
#include "rl/grade.h"
#include "rl/problem_feed.h"

namespace r1 {

struct RolloutSource {
  RolloutEngine& engine;
  const ModelText& text;
  const RlConfig& config;
  const LossSettings& loss;
  const std::vector<TaskShare>& mix;
  const Grader& grader;
  uint64_t seed = 0;
  int64_t model_vocab = 0;
  ThreadPool& pool;
  const ProblemFeed* problems = nullptr;  // of a mix with data
};

// seconds: time of the sampling alone is added. Advantages are not set yet.
Result<RolloutBatch> SampleBatch(const RolloutSource& source, uint64_t cursor, uint32_t step, double* seconds);

// Whether dynamic sampling keeps this group.
bool HasSignal(const TaskProblem& problem, std::span<const Rollout> group);

}  // namespace r1
