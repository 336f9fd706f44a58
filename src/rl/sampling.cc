#include "rl/sampling.h"

#include <algorithm>
#include <chrono>

#include "rl/advantage.h"

namespace r1 {

namespace {

TaskProblem ProblemAt(const RolloutSource& source, uint64_t index) {
  const TaskKind kind = TaskOfIndex(source.mix, index);
  return kind == TaskKind::kData ? source.problems->At(index) : TrainTask(kind, source.seed, index);
}

Result<EncodedPrompt> PromptOf(const RolloutSource& source, const TaskProblem& problem) {
  if (problem.kind == TaskKind::kData)
    return source.text.Prompt(UserMessages(source.config.system_prompt, problem.prompt), "the problem's prompt");
  if (source.text.is_world()) return EncodedPrompt{source.text.tokenizer().Encode(problem.prompt)};
  return source.text.Prompt(UserMessages("", UserContent(problem.prompt)), "the problem's prompt");
}

RolloutOptions Options(const RolloutSource& source, uint32_t step, bool greedy) {
  RolloutOptions options;
  options.sampling.temperature = greedy ? 0.0 : source.config.temperature;
  options.max_new_tokens = source.config.max_completion_length;
  options.stop = source.text.stop();
  options.token_limit = std::min<int64_t>(source.text.tokenizer().size(), source.model_vocab);
  options.seed = source.seed;
  options.step = step;
  options.slots_per_lane = source.config.slots;
  return options;
}

// Replies to the problems from `first` on, appended to `out` and graded.
Status Sample(const RolloutSource& source, uint32_t step, bool greedy, size_t first, RolloutBatch* batch,
              std::vector<Rollout>* out, double* seconds) {
  std::vector<EncodedPrompt> prompts;
  std::vector<RolloutRequest> requests;  // a prompt's key is its place in the batch
  for (size_t i = first; i < batch->problems.size(); ++i) {
    R1_ASSIGN(EncodedPrompt prompt, PromptOf(source, batch->problems[i]));
    requests.push_back({prompt.tokens, static_cast<uint32_t>(i), greedy ? 1 : source.config.num_generations});
    prompts.push_back(std::move(prompt));
  }
  const auto began = std::chrono::steady_clock::now();
  R1_ASSIGN(auto samples, source.engine.Run(requests, Options(source, step, greedy)));
  *seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const size_t before = out->size(), group = static_cast<size_t>(requests.empty() ? 0 : requests[0].samples);
  out->resize(before + requests.size() * group);
  source.pool.ParallelFor(static_cast<int64_t>(requests.size()), [&](int64_t p, int) {
    const size_t at = static_cast<size_t>(p);
    for (size_t s = 0; s < group; ++s) {
      Rollout& r = (*out)[before + at * group + s];
      r.prompt = first + at;
      r.sample = static_cast<int64_t>(s);
      r.completion = std::move(samples[at][s]);
      r.tokens = requests[at].prompt;
      r.prompt_tokens = static_cast<int64_t>(r.tokens.size());
      r.tokens.insert(r.tokens.end(), r.completion.tokens.begin(), r.completion.tokens.end());
      r.think = prompts[at].think;
      r.tight = prompts[at].tight;
      const bool data = batch->problems[r.prompt].kind == TaskKind::kData;
      r.reply = data ? source.text.ReplyText(r.completion.tokens, r.think)
                     : source.text.WorldReplyText(r.completion.tokens, r.think);
    }
  });
  const std::span<Rollout> added(out->data() + before, out->size() - before);
  source.grader.Grade(batch->problems, added, source.pool);
  for (const Rollout& r : added) batch->sampled_tokens += static_cast<int64_t>(r.length());
  return {};
}

void AddGroupStatistics(RolloutBatch* batch) {
  const double groups = static_cast<double>(batch->problems.size());
  std::vector<double> reward(static_cast<size_t>(batch->generations));
  std::vector<bool> gradable(reward.size());
  for (size_t p = 0; p < batch->problems.size(); ++p) {
    const std::span<const Rollout> group = batch->Group(p);
    for (size_t s = 0; s < reward.size(); ++s) {
      reward[s] = group[s].reward.total;
      gradable[s] = group[s].reward.gradable;
    }
    const Moments m = MomentsOf(reward, gradable);
    batch->mean_group_std += m.std / groups;
    batch->zero_std_share += (m.equal ? 1.0 : 0.0) / groups;
  }
}

}  // namespace

bool HasSignal(const TaskProblem& problem, std::span<const Rollout> group) {
  const bool open = problem.kind == TaskKind::kHelpful || problem.kind == TaskKind::kHarmless;
  std::vector<double> outcome;
  for (const Rollout& r : group) {
    if (r.reward.gradable) outcome.push_back(open ? r.reward.total : r.facts.correct ? 1.0 : 0.0);
  }
  return !MomentsOf(outcome, {}).equal;
}

Result<RolloutBatch> SampleBatch(const RolloutSource& source, uint64_t cursor, uint32_t step, double* seconds) {
  const RlConfig& config = source.config;
  RolloutBatch batch;
  batch.generations = config.num_generations;
  batch.dynamic = source.loss.dynamic_sampling;
  batch.mixed = source.mix.size() > 1 || source.mix[0].kind != TaskKind::kPick;
  const size_t wanted = static_cast<size_t>(config.num_prompts);
  while (batch.kept.size() < wanted) {
    const size_t first = batch.problems.size(), missing = wanted - batch.kept.size();
    for (size_t i = 0; i < missing; ++i) {
      const uint64_t index = cursor + batch.problems.size();
      batch.problems.push_back(ProblemAt(source, index));
    }
    R1_TRY(Sample(source, step, false, first, &batch, &batch.rollouts, seconds));
    ++batch.rounds;
    for (size_t p = first; p < batch.problems.size(); ++p) {
      if (!batch.dynamic || HasSignal(batch.problems[p], batch.Group(p))) batch.kept.push_back(p);
    }
    if (!batch.dynamic || batch.rounds >= config.max_sampling_rounds) break;
  }
  if (source.loss.needs_greedy()) R1_TRY(Sample(source, step, true, 0, &batch, &batch.greedy, seconds));
  AddGroupStatistics(&batch);
  return Result<RolloutBatch>(std::move(batch));
}

}  // namespace r1
