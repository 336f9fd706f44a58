#include "rl/batch.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "rl/advantage.h"

namespace r1 {

namespace {

// Tokens between <think> and </think> (or the end).
int64_t ThinkTokens(const Tokenizer& tokenizer, const std::vector<int32_t>& reply) {
  const auto open = std::find(reply.begin(), reply.end(), tokenizer.IdOf(kThinkMarker));
  if (open == reply.end()) return 0;
  return std::find(open, reply.end(), tokenizer.IdOf(kEndThinkMarker)) - open - 1;
}

}  // namespace

Result<RolloutBatch> SampleBatch(RolloutEngine& engine, const Tokenizer& tokenizer, const RlConfig& config,
                                 const RewardSet& rewards, uint64_t seed, uint64_t cursor, uint32_t step,
                                 int64_t model_vocab, ThreadPool& pool, double* rollout_seconds) {
  RolloutBatch batch;
  std::vector<RolloutRequest> requests;
  for (int64_t i = 0; i < config.num_prompts; ++i) {
    batch.problems.push_back(TrainProblem(seed, cursor + static_cast<uint64_t>(i)));
    batch.prompts.push_back(PromptText(batch.problems.back()));
    requests.push_back({tokenizer.Encode(batch.prompts.back()), static_cast<uint32_t>(i), config.num_generations});
  }
  RolloutOptions options;
  options.sampling.temperature = config.temperature;
  options.max_new_tokens = config.max_completion_length;
  options.stop = {tokenizer.IdOf(kEndMarker)};
  options.token_limit = std::min<int64_t>(tokenizer.size(), model_vocab);
  options.seed = seed;
  options.step = step;
  options.slots_per_lane = config.slots;
  const auto began = std::chrono::steady_clock::now();
  R1_ASSIGN(auto samples, engine.Run(requests, options));
  *rollout_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

  batch.rollouts.resize(static_cast<size_t>(config.num_prompts * config.num_generations));
  pool.ParallelFor(config.num_prompts, [&](int64_t p, int) {
    for (int64_t s = 0; s < config.num_generations; ++s) {
      Rollout& r = batch.rollouts[static_cast<size_t>(p * config.num_generations + s)];
      r.prompt = static_cast<size_t>(p);
      r.sample = s;
      r.completion = std::move(samples[static_cast<size_t>(p)][static_cast<size_t>(s)]);
      r.tokens = requests[static_cast<size_t>(p)].prompt;
      r.prompt_tokens = static_cast<int64_t>(r.tokens.size());
      r.tokens.insert(r.tokens.end(), r.completion.tokens.begin(), r.completion.tokens.end());
      r.reply = tokenizer.Decode(r.completion.tokens);
      r.facts = AnalyzeReply(batch.problems[r.prompt], r.reply);
      r.reward = rewards.Score({batch.prompts[r.prompt], r.reply, ""});
      r.think_tokens = ThinkTokens(tokenizer, r.completion.tokens);
    }
  });
  std::vector<double> reward(static_cast<size_t>(config.num_generations));
  std::vector<bool> gradable(static_cast<size_t>(config.num_generations));
  for (int64_t p = 0; p < config.num_prompts; ++p) {
    Rollout* group = &batch.rollouts[static_cast<size_t>(p * config.num_generations)];
    for (size_t s = 0; s < reward.size(); ++s) {
      reward[s] = group[s].reward.total;
      gradable[s] = group[s].reward.gradable;
    }
    const GroupAdvantage a = ComputeGroupAdvantage(reward, gradable, config.loss.scale_rewards == "group");
    for (size_t s = 0; s < reward.size(); ++s) group[s].advantage = a.advantage[s];
    batch.mean_group_std += a.std / static_cast<double>(config.num_prompts);
    batch.zero_std_share += (a.zero_std ? 1.0 : 0.0) / static_cast<double>(config.num_prompts);
  }
  return Result<RolloutBatch>(std::move(batch));
}

void AppendBatchMetrics(const RolloutBatch& batch, Metrics* metrics) {
  double reward = 0, graded = 0, length = 0, clipped = 0, entropy = 0, tokens = 0, think = 0, reflects = 0, mixed = 0,
         language = 0, thinking = 0, tries = 0;
  double longest = 0, shortest = 1e300;
  std::vector<double> terms(batch.rollouts.empty() ? 0 : batch.rollouts[0].reward.terms.size());
  for (const Rollout& r : batch.rollouts) {
    const double n = static_cast<double>(r.completion.tokens.size());
    if (r.reward.gradable) {
      ++graded;
      reward += r.reward.total;
      for (size_t i = 0; i < terms.size(); ++i) terms[i] += r.reward.terms[i].second;
    }
    length += n;
    tokens += n;
    longest = std::max(longest, n);
    shortest = std::min(shortest, n);
    clipped += r.completion.finish == FinishReason::kLength ? 1 : 0;
    entropy += r.completion.entropy_sum;
    think += static_cast<double>(r.think_tokens);
    reflects += r.facts.reflects ? 1 : 0;
    mixed += r.facts.mixed ? 1 : 0;
    tries += r.facts.tries;
    if (r.facts.thinking_words > 0) {
      ++thinking;
      language += r.facts.LanguageConsistency();
    }
  }
  const double count = static_cast<double>(batch.rollouts.size());
  const auto share = [](double a, double b) { return b > 0 ? a / b : 0.0; };
  metrics->emplace_back("reward", share(reward, graded));
  metrics->emplace_back("reward_std", batch.mean_group_std);
  metrics->emplace_back("frac_reward_zero_std", batch.zero_std_share);
  for (size_t i = 0; i < terms.size(); ++i)
    metrics->emplace_back("rewards/" + batch.rollouts[0].reward.terms[i].first + "/mean", share(terms[i], graded));
  metrics->emplace_back("reward/ungradable_frac", 1.0 - share(graded, count));
  metrics->emplace_back("completions/mean_length", share(length, count));
  metrics->emplace_back("completions/min_length", shortest);
  metrics->emplace_back("completions/max_length", longest);
  metrics->emplace_back("completions/clipped_ratio", share(clipped, count));
  metrics->emplace_back("entropy", share(entropy, tokens));
  metrics->emplace_back("think/mean_tokens", share(think, count));
  metrics->emplace_back("think/reflections", share(reflects, count));
  metrics->emplace_back("think/tries", share(tries, count));
  metrics->emplace_back("language/consistency", share(language, thinking));
  metrics->emplace_back("language/mixed", share(mixed, count));
}

std::string CompletionsText(const RolloutBatch& batch, int64_t step) {
  std::string text;
  for (const Rollout& r : batch.rollouts) {
    nlohmann::ordered_json line;
    line["step"] = step;
    line["prompt_id"] = r.prompt;
    line["sample"] = r.sample;
    line["prompt"] = batch.prompts[r.prompt];
    line["completion"] = r.reply;
    line["reward"] = r.reward.total;
    for (const auto& [name, value] : r.reward.terms) line["rewards"][name] = value;
    line["gradable"] = r.reward.gradable;
    line["advantage"] = r.advantage;
    line["tokens"] = r.completion.tokens.size();
    line["finish_reason"] = r.completion.finish == FinishReason::kStop ? "stop" : "length";
    text += ToLineText(line) + "\n";
  }
  return text;
}

}  // namespace r1
