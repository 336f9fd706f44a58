#include "rl/update.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "rl/experience.h"
#include "rl/loss.h"

namespace r1 {

void UpdateSums::Add(const UpdateSums& o) {
  loss += o.loss;
  kl += o.kl;
  tokens += o.tokens;
  clipped_low += o.clipped_low;
  clipped_high += o.clipped_high;
  clipped_dual += o.clipped_dual;
  mismatch_max = std::max(mismatch_max, o.mismatch_max);
  mismatch_tokens += o.mismatch_tokens;
}

PassOptions Updater::Pass() const {
  PassOptions options;
  options.inv_temperature = static_cast<float>(1.0 / config_.temperature);
  return options;
}

UpdateTotals Updater::Run(const RolloutBatch& batch, const UpdatePlace& place) {
  UpdateTotals totals;
  const size_t parts = static_cast<size_t>(config_.mini_batches);
  for (int64_t pass = 0; pass < config_.num_iterations; ++pass) {
    std::vector<size_t> order = batch.kept;
    if (parts > 1) {
      Rng rng(seed_, Stream::kShuffle, static_cast<uint64_t>(place.step * config_.num_iterations + pass));
      for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
    }
    for (size_t b = 0; b < parts; ++b) {
      const auto at = [&](size_t part) {
        return order.begin() + static_cast<std::ptrdiff_t>(order.size() * part / parts);
      };
      std::vector<size_t> prompts(at(b), at(b + 1));
      std::sort(prompts.begin(), prompts.end());
      Update(batch, prompts, place, &totals);
    }
  }
  return totals;
}

bool Updater::HasGradient(const Rollout& r) const {
  if (loss_.entropy_coef != 0 || (loss_.beta > 0 && !loss_.kl_in_reward)) return true;
  if (r.token_advantage_T.empty()) return r.advantage != 0;
  return std::any_of(r.token_advantage_T.begin(), r.token_advantage_T.end(), [](double a) { return a != 0; });
}

void Updater::Update(const RolloutBatch& batch, const std::vector<size_t>& prompts, const UpdatePlace& place,
                     UpdateTotals* totals) {
  std::vector<const Rollout*> replies;
  for (const size_t p : prompts) {
    for (const Rollout& r : batch.Group(p)) {
      if (IsInLoss(r, loss_)) replies.push_back(&r);
    }
  }
  if (place.policy_learns) UpdatePolicy(replies, place, totals);
  if (value_ != nullptr) {
    value_->Step(replies, place.first_value_update + totals->value.updates, place.max_updates, place.schedule_progress,
                 &totals->value);
    totals->finite = totals->finite && totals->value.finite;
  }
}

void Updater::UpdatePolicy(const std::vector<const Rollout*>& replies, const UpdatePlace& place, UpdateTotals* totals) {
  std::vector<TrainSequence> sequences;
  std::vector<const Rollout*> owner;
  double tokens = 0;
  for (const Rollout* r : replies) {
    tokens += static_cast<double>(r->length());
    if (!HasGradient(*r)) continue;
    sequences.push_back(ReplySequence(*r));
    owner.push_back(r);
  }
  if (sequences.empty()) return;
  PassOptions options = Pass();
  options.schedule_progress = place.schedule_progress;
  std::vector<UpdateSums> sums(static_cast<size_t>(trainer_.shards()));
  const bool on_policy = totals->updates == 0;
  const auto loss = [&](int shard, const MicroBatch& m, LogProbs& l) {
    UpdateSums& sum = sums[static_cast<size_t>(shard)];
    for (int64_t first = 0, end = 0; first < m.rows; first = end) {  // rows of one reply, all its tokens in order
      while (end < m.rows && m.sequence_R[end] == m.sequence_R[first]) ++end;
      const Rollout& r = *owner[static_cast<size_t>(m.sequence_R[first])];
      const double weight =
          TokenWeight(loss_.aggregation, static_cast<double>(r.length()), static_cast<double>(replies.size()), tokens,
                      static_cast<double>(config_.max_completion_length));
      double reply_log_ratio = 0;
      if (loss_.ratio == RatioKind::kSequence)
        reply_log_ratio = SequenceLogRatio({l.logp + first, static_cast<size_t>(end - first)}, r.old_logp());
      for (int64_t i = first; i < end; ++i) {
        const size_t t = static_cast<size_t>(m.offset_R[i] - r.prompt_tokens);
        TokenInput in;
        in.logp = static_cast<double>(l.logp[i]);
        in.log_ratio =
            loss_.ratio == RatioKind::kSequence ? reply_log_ratio : in.logp - static_cast<double>(r.old_logp()[t]);
        if (!r.ref_logp_T.empty()) in.ref_logp = static_cast<double>(r.ref_logp_T[t]);
        in.advantage = r.AdvantageAt(t);
        if (!r.weight_T.empty()) in.weight = r.weight_T[t];
        const TokenLoss loss = PolicyTokenLoss(in, loss_);
        l.dlogp[i] = static_cast<float>(loss.dlogp * weight);
        sum.loss += loss.loss * weight;
        if (loss_.entropy_coef != 0) {
          l.dentropy[i] = static_cast<float>(-loss_.entropy_coef * weight);
          sum.loss -= loss_.entropy_coef * static_cast<double>(l.entropy[i]) * weight;
        }
        sum.kl += loss.kl;
        sum.tokens += 1;
        sum.clipped_low += loss.clipped_low ? 1 : 0;
        sum.clipped_high += loss.clipped_high ? 1 : 0;
        sum.clipped_dual += loss.clipped_dual ? 1 : 0;
        const float sampled = r.completion.logp[t];
        if (on_policy && std::bit_cast<uint32_t>(l.logp[i]) != std::bit_cast<uint32_t>(sampled)) {
          ++sum.mismatch_tokens;
          const double gap = std::abs(in.logp - static_cast<double>(sampled));
          sum.mismatch_max = std::isfinite(gap) ? std::max(sum.mismatch_max, gap) : INFINITY;
        }
      }
    }
  };
  const StepReport report =
      trainer_.Step(place.first_update + totals->updates, place.max_updates, sequences, options, loss);
  UpdateSums total;
  for (const UpdateSums& s : sums) total.Add(s);
  totals->finite = totals->finite && report.finite && std::isfinite(total.loss);
  totals->sums.Add(total);
  totals->grad_norm = std::max(totals->grad_norm, report.grad_norm);
  totals->learning_rate = report.learning_rate;
  totals->last = report;
  ++totals->updates;
  for (const TrainSequence& s : sequences) totals->trained_tokens += s.n;
}

}  // namespace r1
