#include "rl/experience.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rl/advantage.h"
#include "rl/loss.h"

namespace r1 {

namespace {

std::vector<Rollout*> GradableReplies(RolloutBatch& batch) {
  std::vector<Rollout*> replies;
  for (const size_t p : batch.kept) {
    for (Rollout& r : batch.Group(p)) {
      if (r.reward.gradable) replies.push_back(&r);
    }
  }
  return replies;
}

void ScoreInto(Trainer& trainer, const Model& model, const PassOptions& options, const std::vector<Rollout*>& replies,
               std::vector<float> Rollout::*out_T) {
  std::vector<TrainSequence> sequences;
  for (Rollout* r : replies) {
    sequences.push_back(ReplySequence(*r));
    (r->*out_T).resize(r->length());
  }
  trainer.Score(model, sequences, options, [&](int, const MicroBatch& m, LogProbs& l) {
    for (int64_t i = 0; i < m.rows; ++i) {
      Rollout& r = *replies[static_cast<size_t>(m.sequence_R[i])];
      (r.*out_T)[static_cast<size_t>(m.offset_R[i] - r.prompt_tokens)] = l.logp[i];
    }
  });
}

// Penalty of each token: beta x KL of the policy before the updates to the reference.
std::vector<double> KlPenalty(const Rollout& r, const LossSettings& s) {
  std::vector<double> penalty(r.length(), 0.0);
  if (!s.kl_in_reward || s.beta <= 0 || r.ref_logp_T.empty()) return penalty;
  for (size_t t = 0; t < penalty.size(); ++t)
    penalty[t] =
        s.beta * EstimateKl(s.kl, static_cast<double>(r.old_logp()[t]), static_cast<double>(r.ref_logp_T[t])).value;
  return penalty;
}

// Advantages of whole replies, by comparison inside their groups.
void ByOutcome(const LossSettings& s, RolloutBatch* batch) {
  std::vector<double> all;
  std::vector<bool> gradable(static_cast<size_t>(batch->generations));
  std::vector<std::vector<double>> rewards;
  for (const size_t p : batch->kept) {
    std::vector<double> outcome;
    for (const Rollout& r : batch->Group(p)) {
      const std::vector<double> penalty = KlPenalty(r, s);
      outcome.push_back(r.reward.total - std::accumulate(penalty.begin(), penalty.end(), 0.0));
      if (r.reward.gradable) all.push_back(outcome.back());
    }
    rewards.push_back(std::move(outcome));
  }
  const double batch_std = s.scale == RewardScale::kBatch ? MomentsOf(all, {}).std : 0.0;
  for (size_t k = 0; k < batch->kept.size(); ++k) {
    const size_t p = batch->kept[k];
    const std::span<Rollout> group = batch->Group(p);
    for (size_t i = 0; i < group.size(); ++i) gradable[i] = group[i].reward.gradable;
    const bool by_group = s.scale == RewardScale::kGroup;
    GroupAdvantage a =
        s.advantage == AdvantageKind::kLeaveOneOut
            ? ComputeLeaveOneOut(rewards[k], gradable)
            : ComputeGroupAdvantage(rewards[k], gradable, by_group && s.advantage == AdvantageKind::kGroup);
    if (s.advantage == AdvantageKind::kGreedy) {
      const Reward& greedy = batch->greedy[p].reward;
      for (size_t i = 0; i < group.size(); ++i)
        a.advantage[i] = gradable[i] && greedy.gradable ? rewards[k][i] - greedy.total : 0.0;
    }
    for (size_t i = 0; i < group.size(); ++i) {
      double advantage = a.advantage[i];
      if (by_group && s.advantage != AdvantageKind::kGroup && advantage != 0) advantage = ScaledByStd(advantage, a.std);
      if (batch_std > 0) advantage = ScaledByStd(advantage, batch_std);
      group[i].advantage = advantage;
    }
  }
}

// Advantages of tokens, whitened over those in the loss.
void ByToken(const LossSettings& s, double gamma, double lambda, RolloutBatch* batch) {
  std::vector<double> mean(batch->problems.size());
  if (s.advantage == AdvantageKind::kGroupWhitened) {
    for (const size_t p : batch->kept) {
      std::vector<double> reward;
      for (const Rollout& r : batch->Group(p)) {
        if (r.reward.gradable) reward.push_back(r.reward.total);
      }
      mean[p] = MomentsOf(reward, {}).mean;
    }
  }
  const std::vector<Rollout*> replies = RepliesInLoss(*batch, s);
  std::vector<double> all;
  for (Rollout* r : replies) {
    std::vector<double> reward_T = KlPenalty(*r, s);
    for (double& x : reward_T) x = -x;
    if (!reward_T.empty()) reward_T.back() += r->reward.total - mean[r->prompt];
    r->token_advantage_T =
        s.needs_value() ? ComputeGae(reward_T, r->value_T, gamma, lambda) : ComputeGae(reward_T, {}, gamma, 1.0);
    if (s.needs_value()) {
      r->target_T = r->token_advantage_T;
      for (size_t t = 0; t < r->length(); ++t) r->target_T[t] += r->value_T[t];
    }
    all.insert(all.end(), r->token_advantage_T.begin(), r->token_advantage_T.end());
  }
  Whiten(all);
  size_t at = 0;
  for (Rollout* r : replies) {
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(at), r->length(), r->token_advantage_T.begin());
    at += r->length();
    const double sum = std::accumulate(r->token_advantage_T.begin(), r->token_advantage_T.end(), 0.0);
    r->advantage = r->length() == 0 ? 0.0 : sum / static_cast<double>(r->length());
  }
}

}  // namespace

bool IsInLoss(const Rollout& r, const LossSettings& settings) {
  return r.reward.gradable && !(settings.mask_truncated && r.truncated());
}

std::vector<Rollout*> RepliesInLoss(RolloutBatch& batch, const LossSettings& settings) {
  std::vector<Rollout*> replies = GradableReplies(batch);
  std::erase_if(replies, [&](const Rollout* r) { return !IsInLoss(*r, settings); });
  return replies;
}

TrainSequence ReplySequence(const Rollout& r) {
  return {r.tokens.data(), static_cast<int64_t>(r.tokens.size()), r.prompt_tokens};
}

ImportanceStats ScoreReplies(Trainer& trainer, const Model* reference, const PassOptions& options,
                             const LossSettings& settings, RolloutBatch* batch) {
  ImportanceStats stats;
  const std::vector<Rollout*> replies = GradableReplies(*batch);
  if (replies.empty()) return stats;
  if (reference != nullptr) {
    PassOptions base = options;
    base.adapter = reference != &trainer.model();
    ScoreInto(trainer, *reference, base, replies, &Rollout::ref_logp_T);
  }
  if (settings.importance == ImportanceSampling::kNone) return stats;
  ScoreInto(trainer, trainer.model(), options, replies, &Rollout::old_logp_T);
  const bool whole = IsWholeReply(settings.importance);
  double sum = 0, count = 0, gap = 0, tokens = 0;
  stats.max = 0;
  for (Rollout* r : replies) {
    const std::vector<double> ratio_T = ImportanceRatios(settings.importance, r->old_logp_T, r->completion.logp);
    r->weight_T.clear();
    for (size_t t = 0; t < ratio_T.size(); ++t) {
      r->weight_T.push_back(ImportanceWeight(settings.importance, settings.importance_cap, ratio_T[t]));
      gap += static_cast<double>(r->completion.logp[t]) - static_cast<double>(r->old_logp_T[t]);
      ++tokens;
      if (whole && t > 0) continue;
      sum += ratio_T[t];
      ++count;
      stats.max = std::max(stats.max, ratio_T[t]);
    }
  }
  stats.mean = count > 0 ? sum / count : 1.0;
  stats.kl = tokens > 0 ? gap / tokens : 0.0;
  return stats;
}

void ComputeAdvantages(const LossSettings& settings, double gamma, double lambda, RolloutBatch* batch) {
  if (settings.whitens()) {
    ByToken(settings, gamma, lambda, batch);
  } else {
    ByOutcome(settings, batch);
  }
}

}  // namespace r1
