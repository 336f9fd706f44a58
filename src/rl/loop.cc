#include "rl/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>

#include "base/interrupt.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/progress.h"
#include "rl/batch.h"
#include "rl/loss.h"
#include "train/run_files.h"

namespace r1 {

namespace {

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
constexpr int kMaxBadSteps = 3;

// Sums of one update, kept per shard and added in shard order.
struct UpdateSums {
  double loss = 0, kl = 0, tokens = 0, clipped_low = 0, clipped_high = 0;
  double mismatch_max = 0, mismatch_tokens = 0;
  void Add(const UpdateSums& o) {
    loss += o.loss;
    kl += o.kl;
    tokens += o.tokens;
    clipped_low += o.clipped_low;
    clipped_high += o.clipped_high;
    mismatch_max = std::max(mismatch_max, o.mismatch_max);
    mismatch_tokens += o.mismatch_tokens;
  }
};

struct UpdateTotals {
  UpdateSums sums;
  double grad_norm = 0, learning_rate = 0;
  int64_t updates = 0, trained_tokens = 0;
  StepReport last;
  bool finite = true;
};

class Updater {
 public:
  Updater(Trainer& trainer, const RlConfig& config, uint64_t seed) : trainer_(trainer), config_(config), seed_(seed) {}

  // All updates of one rollout. reference may be null. first_update: optimizer steps done before.
  UpdateTotals Run(RolloutBatch& batch, const Model* reference, int64_t step, int64_t first_update,
                   int64_t max_updates) {
    UpdateTotals totals;
    for (int64_t pass = 0; pass < config_.num_iterations; ++pass) {
      std::vector<size_t> order(batch.problems.size());
      std::iota(order.begin(), order.end(), size_t{0});
      if (config_.mini_batches > 1) {
        Rng rng(seed_, Stream::kShuffle, static_cast<uint64_t>(step * config_.num_iterations + pass));
        for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
      }
      for (int64_t b = 0; b < config_.mini_batches; ++b) {
        const size_t begin = order.size() * static_cast<size_t>(b) / static_cast<size_t>(config_.mini_batches);
        const size_t end = order.size() * static_cast<size_t>(b + 1) / static_cast<size_t>(config_.mini_batches);
        std::vector<size_t> prompts(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                    order.begin() + static_cast<std::ptrdiff_t>(end));
        std::sort(prompts.begin(), prompts.end());
        Update(batch, prompts, reference, first_update, max_updates, &totals);
      }
    }
    return totals;
  }

 private:
  void Update(RolloutBatch& batch, const std::vector<size_t>& prompts, const Model* reference, int64_t first_update,
              int64_t max_updates, UpdateTotals* totals) {
    std::vector<TrainSequence> sequences;
    std::vector<const Rollout*> owner;
    double replies = 0, tokens = 0;
    for (size_t p : prompts) {
      for (int64_t s = 0; s < config_.num_generations; ++s) {
        const Rollout& r = batch.rollouts[p * static_cast<size_t>(config_.num_generations) + static_cast<size_t>(s)];
        if (!r.reward.gradable) continue;
        ++replies;
        tokens += static_cast<double>(r.completion.tokens.size());
        if (r.advantage == 0 && config_.loss.beta == 0) continue;  // no gradient
        sequences.push_back({r.tokens.data(), static_cast<int64_t>(r.tokens.size()), r.prompt_tokens});
        owner.push_back(&r);
      }
    }
    if (sequences.empty()) return;
    PassOptions options;
    options.inv_temperature = static_cast<float>(1.0 / config_.temperature);
    std::vector<std::vector<float>> ref_logp(owner.size());
    if (reference != nullptr) {
      for (size_t i = 0; i < owner.size(); ++i) ref_logp[i].resize(owner[i]->completion.tokens.size());
      trainer_.Score(*reference, sequences, options, [&](int, const MicroBatch& m, LogProbs& l) {
        for (int64_t i = 0; i < m.rows; ++i)
          ref_logp[static_cast<size_t>(m.sequence_R[i])]
                  [At(*owner[static_cast<size_t>(m.sequence_R[i])], m.offset_R[i])] = l.logp[i];
      });
    }
    std::vector<UpdateSums> sums(static_cast<size_t>(trainer_.shards()));
    const bool on_policy = totals->updates == 0;
    const StepReport report = trainer_.Step(
        first_update + totals->updates, max_updates, sequences, options,
        [&](int shard, const MicroBatch& m, LogProbs& l) {
          UpdateSums& sum = sums[static_cast<size_t>(shard)];
          for (int64_t i = 0; i < m.rows; ++i) {
            const size_t which = static_cast<size_t>(m.sequence_R[i]);
            const Rollout& r = *owner[which];
            const size_t at = At(r, m.offset_R[i]);
            const float sampled = r.completion.logp[at];
            const TokenLoss t = GrpoTokenLoss(static_cast<double>(l.logp[i]), static_cast<double>(sampled),
                                              reference == nullptr ? 0.0 : static_cast<double>(ref_logp[which][at]),
                                              r.advantage, config_.loss);
            const double weight = TokenWeight(config_.loss, static_cast<double>(r.completion.tokens.size()), replies,
                                              tokens, static_cast<double>(config_.max_completion_length));
            l.dlogp[i] = static_cast<float>(t.dlogp * weight);
            sum.loss += t.loss * weight;
            sum.kl += t.kl;
            sum.tokens += 1;
            sum.clipped_low += t.clipped_low ? 1 : 0;
            sum.clipped_high += t.clipped_high ? 1 : 0;
            if (on_policy && std::bit_cast<uint32_t>(l.logp[i]) != std::bit_cast<uint32_t>(sampled)) {
              ++sum.mismatch_tokens;
              const double gap = std::abs(static_cast<double>(l.logp[i]) - static_cast<double>(sampled));
              sum.mismatch_max = std::isfinite(gap) ? std::max(sum.mismatch_max, gap) : INFINITY;
            }
          }
        });
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

  static size_t At(const Rollout& r, int32_t offset) { return static_cast<size_t>(offset - r.prompt_tokens); }

  Trainer& trainer_;
  const RlConfig& config_;
  uint64_t seed_;
};

}  // namespace

Status RunRl(Model& model, const Tokenizer& tokenizer, const RlConfig& config, uint64_t seed, const std::string& folder,
             const std::string& config_hash, ThreadPool& pool, const std::string& title) {
  const std::string completions = JoinPath(folder, "completions");
  R1_TRY(MakeDirs(completions));
  const StageFiles files{folder, config.save_steps, config.save_total_limit};
  R1_ASSIGN(const RewardSet rewards, RewardSet::Make(config.task, config.Weights()));
  Trainer trainer(model, config.optimizer, pool);
  std::unique_ptr<Model> reference;
  const auto copy_reference = [&] {
    std::memcpy(reference->data(), model.data(), static_cast<size_t>(model.params().total) * sizeof(float));
    reference->Pack(pool);
  };
  if (config.loss.beta > 0) {
    reference = std::make_unique<Model>(model.config(), false);
    copy_reference();
  }
  TrainState state{"rl", 0, seed, 0, 0, 0, config_hash};
  R1_ASSIGN(const std::optional<TrainState> resumed, ResumeTraining(files, state, trainer, reference.get()));
  if (resumed.has_value()) {
    state = *resumed;
    if (state.step < config.max_steps) LogInfo(fmt::format("{}: resuming after step {}", title, state.step));
  }
  R1_ASSIGN(MetricsFile metrics, MetricsFile::Open(JoinPath(folder, "metrics.jsonl"), state.step));
  RolloutEngine engine(model, pool);
  Updater updater(trainer, config, seed);
  const int64_t max_updates = config.max_steps * config.num_iterations * config.mini_batches;
  Progress progress(title, config.max_steps, state.step);
  const double began = Now();
  int bad_steps = 0;
  int64_t tokens_here = 0;
  while (state.step < config.max_steps) {
    const double step_began = Now();
    const int64_t step = state.step + 1;
    double rollout_seconds = 0;
    Result<RolloutBatch> sampled =
        SampleBatch(engine, tokenizer, config, rewards, seed, state.cursor, static_cast<uint32_t>(step),
                    model.config().vocab_size, pool, &rollout_seconds);
    if (!sampled.ok() && sampled.error().code == ErrorCode::kInterrupted) {
      // A rollout is a function of the state before it: nothing of it needs saving.
      R1_TRY(metrics.Sync());
      R1_TRY(SaveTraining(files, state, trainer, tokenizer, reference.get()));
      return Error{
          ErrorCode::kInterrupted,
          fmt::format("{}: interrupted; step {} is saved, run the same command again to go on", title, state.step)};
    }
    if (!sampled.ok()) return sampled.error();
    RolloutBatch& batch = *sampled;
    const double graded_at = Now();
    const UpdateTotals update = updater.Run(batch, reference.get(), step, state.optimizer_steps, max_updates);
    const double trained_at = Now();
    if (!update.finite) {
      LogWarn(fmt::format("{}: step {}: loss or gradient is not finite; the update is skipped", title, step));
      if (++bad_steps == kMaxBadSteps)
        return Error{ErrorCode::kInternal,
                     fmt::format("{}: {} steps in a row were not finite; lower learning_rate", title, kMaxBadSteps)};
    } else {
      bad_steps = 0;
    }
    int64_t sampled_tokens = 0;
    for (const Rollout& r : batch.rollouts) sampled_tokens += static_cast<int64_t>(r.completion.tokens.size());
    state.num_tokens += sampled_tokens;
    tokens_here += sampled_tokens;
    state.cursor += static_cast<uint64_t>(config.num_prompts);
    state.step = step;
    state.optimizer_steps += update.updates;
    if (reference != nullptr && config.ref_sync_steps > 0 && step % config.ref_sync_steps == 0) copy_reference();

    const UpdateSums& sums = update.sums;
    const auto mean = [&](double x) { return sums.tokens > 0 ? x / sums.tokens : 0.0; };
    Metrics m;
    m.emplace_back("loss", sums.loss);
    AppendBatchMetrics(batch, &m);
    m.emplace_back("kl", mean(sums.kl));
    m.emplace_back("clip_ratio/low_mean", mean(sums.clipped_low));
    m.emplace_back("clip_ratio/high_mean", mean(sums.clipped_high));
    m.emplace_back("logp_mismatch/max", sums.mismatch_max);
    m.emplace_back("logp_mismatch/tokens", sums.mismatch_tokens);
    m.emplace_back("grad_norm", update.grad_norm);
    m.emplace_back("learning_rate", update.learning_rate);
    m.emplace_back("num_tokens", static_cast<double>(state.num_tokens));
    m.emplace_back("trained_tokens", static_cast<double>(update.trained_tokens));
    AppendLoadMetrics(model.config(), update.last, &m);
    const auto value = [&](const char* name) {
      for (const auto& [key, v] : m) {
        if (key == name) return v;
      }
      return 0.0;
    };
    const double now = Now();
    m.emplace_back("step_time", now - step_began);
    m.emplace_back("time/rollout", rollout_seconds);
    m.emplace_back("time/grade", graded_at - step_began - rollout_seconds);
    m.emplace_back("time/train", trained_at - graded_at);
    m.emplace_back("tokens_per_second", static_cast<double>(sampled_tokens) / (now - step_began));
    R1_TRY(metrics.Write(step, m));
    KillPoint("rl.after_metrics");
    const bool last = step == config.max_steps, stop = Interrupted();
    if (config.log_completions_steps > 0 && (step == 1 || last || step % config.log_completions_steps == 0)) {
      R1_TRY(WriteFileAtomic(JoinPath(completions, fmt::format("step_{}.jsonl", step)), CompletionsText(batch, step)));
    }
    if (last || stop || (config.save_steps > 0 && step % config.save_steps == 0)) {
      R1_TRY(metrics.Sync());
      R1_TRY(SaveTraining(files, state, trainer, tokenizer, reference.get()));
    }
    if (stop && !last)
      return Error{
          ErrorCode::kInterrupted,
          fmt::format("{}: interrupted; step {} is saved, run the same command again to go on", title, state.step)};
    progress.Update(step,
                    fmt::format("reward {:.3f}  acc {:.3f}  len {:.1f}  wait {:.2f}  mix {:.2f}  kl {:.4f}  ent {:.3f} "
                                " mismatch {:g}  {:.1f}k tok/s",
                                value("reward"), value("rewards/accuracy/mean"), value("completions/mean_length"),
                                value("think/reflections"), value("language/mixed"), mean(sums.kl), value("entropy"),
                                sums.mismatch_max, static_cast<double>(sampled_tokens) / (now - step_began) / 1000));
  }
  progress.Finish(
      fmt::format("{:.2f}M tokens sampled, {}", static_cast<double>(tokens_here) / 1e6, DurationText(Now() - began)));
  return {};
}

}  // namespace r1
