#include "rl/batch.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace r1 {

namespace {

double Share(double a, double b) { return b > 0 ? a / b : 0.0; }

// Means of the reward terms over the gradable replies that have them, in order of first appearance.
void AppendRewardTerms(const RolloutBatch& batch, Metrics* metrics) {
  struct Term {
    std::string name;
    double sum = 0, count = 0;
  };
  std::vector<Term> terms;
  for (const Rollout& r : batch.rollouts) {
    if (!r.reward.gradable) continue;
    for (const auto& [name, value] : r.reward.terms) {
      const auto same = [&](const Term& t) { return t.name == name; };
      auto term = std::find_if(terms.begin(), terms.end(), same);
      if (term == terms.end()) term = terms.insert(term, {name});
      term->sum += value;
      ++term->count;
    }
  }
  for (const Term& t : terms) metrics->emplace_back("rewards/" + t.name + "/mean", Share(t.sum, t.count));
}

void AppendTaskAccuracy(const RolloutBatch& batch, Metrics* metrics) {
  std::array<double, kTaskKinds + 1> right{}, count{};
  for (const Rollout& r : batch.rollouts) {
    const size_t kind = static_cast<size_t>(batch.problems[r.prompt].kind);
    ++count[kind];
    right[kind] += r.facts.correct ? 1 : 0;
  }
  for (const TaskKind kind : {TaskKind::kPick, TaskKind::kCode, TaskKind::kGeneral, TaskKind::kData}) {
    const size_t k = static_cast<size_t>(kind);
    if (count[k] > 0)
      metrics->emplace_back(std::string("tasks/") + TaskName(kind) + "/accuracy", Share(right[k], count[k]));
  }
}

}  // namespace

void AppendBatchMetrics(const RolloutBatch& batch, Metrics* metrics) {
  double reward = 0, graded = 0, length = 0, clipped = 0, entropy = 0, tokens = 0, think = 0, reflects = 0, mixed = 0,
         language = 0, thinking = 0, tries = 0;
  double longest = 0, shortest = 1e300;
  for (const Rollout& r : batch.rollouts) {
    const double n = static_cast<double>(r.length());
    if (r.reward.gradable) {
      ++graded;
      reward += r.reward.total;
    }
    length += n;
    tokens += n;
    longest = std::max(longest, n);
    shortest = std::min(shortest, n);
    clipped += r.truncated() ? 1 : 0;
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
  metrics->emplace_back("reward", Share(reward, graded));
  metrics->emplace_back("reward_std", batch.mean_group_std);
  metrics->emplace_back("frac_reward_zero_std", batch.zero_std_share);
  AppendRewardTerms(batch, metrics);
  if (batch.mixed) AppendTaskAccuracy(batch, metrics);
  metrics->emplace_back("reward/ungradable_frac", 1.0 - Share(graded, count));
  metrics->emplace_back("completions/mean_length", Share(length, count));
  metrics->emplace_back("completions/min_length", shortest);
  metrics->emplace_back("completions/max_length", longest);
  metrics->emplace_back("completions/clipped_ratio", Share(clipped, count));
  metrics->emplace_back("entropy", Share(entropy, tokens));
  metrics->emplace_back("think/mean_tokens", Share(think, count));
  metrics->emplace_back("think/reflections", Share(reflects, count));
  metrics->emplace_back("think/tries", Share(tries, count));
  metrics->emplace_back("language/consistency", Share(language, thinking));
  metrics->emplace_back("language/mixed", Share(mixed, count));
  if (batch.dynamic) {
    metrics->emplace_back("sampling/rounds", static_cast<double>(batch.rounds));
    metrics->emplace_back("sampling/kept_frac",
                          Share(static_cast<double>(batch.kept.size()), static_cast<double>(batch.problems.size())));
  }
}

std::string CompletionsText(const RolloutBatch& batch, int64_t step) {
  std::vector<bool> kept(batch.problems.size());
  for (const size_t p : batch.kept) kept[p] = true;
  std::string text;
  for (const Rollout& r : batch.rollouts) {
    nlohmann::ordered_json line;
    line["step"] = step;
    line["prompt_id"] = r.prompt;
    line["sample"] = r.sample;
    if (batch.mixed) line["task"] = TaskName(batch.problems[r.prompt].kind);
    line["prompt"] = batch.problems[r.prompt].prompt;
    line["completion"] = r.reply;
    line["reward"] = r.reward.total;
    for (const auto& [name, value] : r.reward.terms) line["rewards"][name] = value;
    line["gradable"] = r.reward.gradable;
    line["advantage"] = r.advantage;
    if (batch.dynamic) line["kept"] = static_cast<bool>(kept[r.prompt]);
    line["tokens"] = r.length();
    line["finish_reason"] = r.truncated() ? "length" : "stop";
    text += ToLineText(line) + "\n";
  }
  return text;
}

}  // namespace r1
