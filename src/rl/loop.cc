#include "rl/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "base/check.h"
#include "base/interrupt.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/progress.h"
#include "model/io.h"
#include "rl/experience.h"
#include "rl/sampling.h"
#include "rl/update.h"

namespace r1 {

namespace {

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
constexpr int kMaxBadSteps = 3;

// reference = alpha x policy + (1 - alpha) x reference
void MoveReference(const Model& policy, double alpha, ThreadPool& pool, Model* reference) {
  const int64_t total = policy.params().total;
  if (alpha == 1) {
    std::memcpy(reference->data(), policy.data(), static_cast<size_t>(total) * sizeof(float));
  } else {
    for (int64_t i = 0; i < total; ++i)
      reference->data()[i] = static_cast<float>(alpha * static_cast<double>(policy.data()[i]) +
                                                (1 - alpha) * static_cast<double>(reference->data()[i]));
  }
  reference->Pack(pool);
}

class RlRun {
 public:
  RlRun(Model& model, const ModelText& text, const RlConfig& config, const LossSettings& loss, uint64_t seed,
        const std::string& folder, ThreadPool& pool, const std::string& title, const RlHooks& hooks)
      : model_(model),
        text_(text),
        config_(config),
        loss_(loss),
        seed_(seed),
        files_{folder, config.save_steps, config.save_total_limit},
        completions_(JoinPath(folder, "completions")),
        pool_(pool),
        title_(title),
        hooks_(hooks),
        trainer_(model, config.optimizer, pool) {}

  Status Run(const std::string& config_hash);

 private:
  Status Prepare(const std::string& config_hash);
  Status Step(MetricsFile& metrics, Progress& progress);
  // The reference policy: of a model with an adapter the model itself, without the adapter. Null: none.
  const Model* Reference() const { return loss_.beta > 0 && model_.adapter() != nullptr ? &model_ : reference_.get(); }
  bool Done() const { return state_.step >= config_.max_steps || BudgetSpent(); }
  bool BudgetSpent() const { return config_.max_sampled_tokens > 0 && state_.num_tokens >= config_.max_sampled_tokens; }
  Status Save() {
    return SaveTraining(files_, state_, trainer_, text_, reference_.get(),
                        value_ != nullptr ? value_->Files() : std::vector<FlatFile>());
  }
  Error InterruptedError() const {
    return {ErrorCode::kInterrupted,
            fmt::format("{}: interrupted; step {} is saved, run the same command again to go on", title_, state_.step)};
  }
  // Advantages and what they need. Fills the metrics that come of it.
  void LearnFrom(RolloutBatch& batch, Metrics* metrics);
  UpdatePlace Place(int64_t step) const;
  Metrics StepMetrics(const RolloutBatch& batch, const UpdateTotals& update, const Metrics& scored) const;

  Model& model_;
  const ModelText& text_;
  const RlConfig& config_;
  const LossSettings& loss_;
  uint64_t seed_;
  StageFiles files_;
  std::string completions_;
  ThreadPool& pool_;
  const std::string& title_;
  const RlHooks& hooks_;
  Trainer trainer_;
  std::vector<TaskShare> mix_;
  std::optional<Grader> grader_;
  std::optional<ProblemFeed> problems_;
  std::unique_ptr<Model> reference_;
  std::unique_ptr<ValueLearner> value_;
  std::unique_ptr<RolloutEngine> engine_;
  std::unique_ptr<Updater> updater_;
  TrainState state_;
  int bad_steps_ = 0;
  int64_t tokens_here_ = 0;
};

Status RlRun::Prepare(const std::string& config_hash) {
  R1_CHECK(config_.lora.on() == (model_.adapter() != nullptr), "rl: the adapter of the settings is not in the model");
  R1_TRY(MakeDirs(completions_));
  R1_ASSIGN(mix_, ParseTaskMix(config_.task, true));
  const auto is_data = [](const TaskShare& share) { return share.kind == TaskKind::kData; };
  if (std::any_of(mix_.begin(), mix_.end(), is_data)) {
    const int64_t room = model_.config().max_position_embeddings - config_.max_completion_length;
    R1_ASSIGN(problems_, ProblemFeed::Make(hooks_.problems, text_, config_.system_prompt, room, seed_, title_));
  } else if (!hooks_.problems.empty()) {
    return Error{ErrorCode::kRefused, title_ + ": data is given, but task has no share of it; set task = \"data\""};
  }
  R1_ASSIGN(grader_, Grader::Make(config_, loss_.overlong_buffer, mix_, text_, hooks_.helpful, hooks_.harmless));
  if (loss_.beta > 0 && model_.adapter() == nullptr) {
    reference_ = std::make_unique<Model>(model_.config(), false);
    MoveReference(model_, 1, pool_, reference_.get());
  }
  if (loss_.needs_value()) {
    R1_ASSIGN(Model value, CopyBody(model_, 1, pool_, seed_));
    value_ = std::make_unique<ValueLearner>(std::move(value), config_, pool_);
  }
  state_ = {.kind = "rl", .seed = seed_, .config_hash = config_hash};
  R1_ASSIGN(const std::optional<TrainState> resumed,
            ResumeTraining(files_, state_, trainer_, reference_.get(),
                           value_ != nullptr ? value_->Files() : std::vector<FlatFile>()));
  if (resumed.has_value()) {
    state_ = *resumed;
    if (value_ != nullptr) value_->Repack();
    if (!Done()) LogInfo(fmt::format("{}: resuming after step {}", title_, state_.step));
  }
  engine_ = std::make_unique<RolloutEngine>(hooks_.sampler != nullptr ? *hooks_.sampler : model_, pool_);
  updater_ = std::make_unique<Updater>(trainer_, value_.get(), config_, loss_, seed_);
  return {};
}

void RlRun::LearnFrom(RolloutBatch& batch, Metrics* metrics) {
  const ImportanceStats importance = ScoreReplies(trainer_, Reference(), updater_->Pass(), loss_, &batch);
  const std::vector<Rollout*> replies = RepliesInLoss(batch, loss_);
  if (value_ != nullptr) value_->Score(replies);
  ComputeAdvantages(loss_, config_.gamma, config_.lam, &batch);
  if (value_ != nullptr) metrics->emplace_back("explained_variance", ExplainedVariance(replies));
  if (loss_.importance != ImportanceSampling::kNone) {
    metrics->emplace_back("sampling/is_ratio_mean", importance.mean);
    metrics->emplace_back("sampling/is_ratio_max", importance.max);
    metrics->emplace_back("sampling/kl", importance.kl);
  }
}

UpdatePlace RlRun::Place(int64_t step) const {
  UpdatePlace place;
  place.step = step;
  place.first_update = state_.optimizer_steps;
  place.first_value_update = state_.value_steps;
  place.max_updates = config_.max_steps * config_.num_iterations * config_.mini_batches;
  if (config_.max_sampled_tokens > 0)
    place.schedule_progress = static_cast<double>(state_.num_tokens) / static_cast<double>(config_.max_sampled_tokens);
  place.policy_learns = value_ == nullptr || step > config_.critic_warmup_steps;
  return place;
}

Metrics RlRun::StepMetrics(const RolloutBatch& batch, const UpdateTotals& update, const Metrics& scored) const {
  const UpdateSums& sums = update.sums;
  const auto mean = [&](double x) { return sums.tokens > 0 ? x / sums.tokens : 0.0; };
  Metrics m;
  m.emplace_back("loss", sums.loss);
  AppendBatchMetrics(batch, &m);
  m.emplace_back("kl", mean(sums.kl));
  m.emplace_back("clip_ratio/low_mean", mean(sums.clipped_low));
  m.emplace_back("clip_ratio/high_mean", mean(sums.clipped_high));
  if (loss_.delta > 0) m.emplace_back("clip_ratio/dual_mean", mean(sums.clipped_dual));
  m.emplace_back("logp_mismatch/max", sums.mismatch_max);
  m.emplace_back("logp_mismatch/tokens", sums.mismatch_tokens);
  m.insert(m.end(), scored.begin(), scored.end());
  m.emplace_back("grad_norm", update.grad_norm);
  m.emplace_back("learning_rate", update.learning_rate);
  if (value_ != nullptr) {
    const double updates = static_cast<double>(std::max<int64_t>(1, update.value.updates));
    m.emplace_back("value_loss", update.value.loss / updates);
    m.emplace_back("value_clip_ratio", update.value.tokens > 0 ? update.value.clipped / update.value.tokens : 0.0);
    m.emplace_back("value_grad_norm", update.value.grad_norm);
  }
  m.emplace_back("num_tokens", static_cast<double>(state_.num_tokens));
  m.emplace_back("trained_tokens", static_cast<double>(update.trained_tokens));
  AppendLoadMetrics(model_.config(), update.last, &m);
  return m;
}

Status RlRun::Step(MetricsFile& metrics, Progress& progress) {
  const double began = Now();
  const int64_t step = state_.step + 1;
  double rollout_seconds = 0;
  const RolloutSource source{*engine_, text_,
                             config_,  loss_,
                             mix_,     *grader_,
                             seed_,    model_.config().vocab_size,
                             pool_,    problems_.has_value() ? &*problems_ : nullptr};
  Result<RolloutBatch> sampled = SampleBatch(source, state_.cursor, static_cast<uint32_t>(step), &rollout_seconds);
  if (!sampled.ok() && sampled.error().code == ErrorCode::kInterrupted) {
    // A rollout is a function of the state before it: nothing of it needs saving.
    R1_TRY(metrics.Sync());
    R1_TRY(Save());
    return InterruptedError();
  }
  if (!sampled.ok()) return sampled.error();
  RolloutBatch& batch = *sampled;
  const double graded_at = Now();
  Metrics scored;
  LearnFrom(batch, &scored);
  const UpdateTotals update = updater_->Run(batch, Place(step));
  const double trained_at = Now();
  if (!update.finite) {
    LogWarn(fmt::format("{}: step {}: loss or gradient is not finite; the update is skipped", title_, step));
    if (++bad_steps_ == kMaxBadSteps)
      return Error{ErrorCode::kInternal,
                   fmt::format("{}: {} steps in a row were not finite; lower learning_rate", title_, kMaxBadSteps)};
  } else {
    bad_steps_ = 0;
  }
  state_.num_tokens += batch.sampled_tokens;
  tokens_here_ += batch.sampled_tokens;
  state_.cursor += static_cast<uint64_t>(batch.problems.size());
  state_.step = step;
  state_.optimizer_steps += update.updates;
  state_.value_steps += update.value.updates;
  if (reference_ != nullptr && config_.ref_sync_steps > 0 && step % config_.ref_sync_steps == 0)
    MoveReference(model_, config_.ref_model_mixup_alpha, pool_, reference_.get());

  Metrics m = StepMetrics(batch, update, scored);
  const auto value = [&](const char* name) {
    for (const auto& [key, v] : m) {
      if (key == name) return v;
    }
    return 0.0;
  };
  const double now = Now();
  m.emplace_back("step_time", now - began);
  m.emplace_back("time/rollout", rollout_seconds);
  m.emplace_back("time/grade", graded_at - began - rollout_seconds);
  m.emplace_back("time/train", trained_at - graded_at);
  m.emplace_back("tokens_per_second", static_cast<double>(batch.sampled_tokens) / (now - began));
  const bool last = Done(), stop = Interrupted();
  if (hooks_.evaluate != nullptr && config_.eval_steps > 0 && (last || step % config_.eval_steps == 0))
    R1_TRY(hooks_.evaluate(model_, step, &m));
  R1_TRY(metrics.Write(step, m));
  KillPoint("rl.after_metrics");
  if (config_.log_completions_steps > 0 && (step == 1 || last || step % config_.log_completions_steps == 0)) {
    R1_TRY(WriteFileAtomic(JoinPath(completions_, fmt::format("step_{}.jsonl", step)), CompletionsText(batch, step)));
  }
  if (last || stop || (config_.save_steps > 0 && step % config_.save_steps == 0)) {
    R1_TRY(metrics.Sync());
    R1_TRY(Save());
  }
  if (stop && !last) return InterruptedError();
  progress.Update(
      step, fmt::format("reward {:.3f}  acc {:.3f}  len {:.1f}  wait {:.2f}  mix {:.2f}  kl {:.4f}  ent {:.3f} "
                        " mismatch {:g}  {:.1f}k tok/s",
                        value("reward"), value("rewards/accuracy/mean"), value("completions/mean_length"),
                        value("think/reflections"), value("language/mixed"), value("kl"), value("entropy"),
                        update.sums.mismatch_max, static_cast<double>(batch.sampled_tokens) / (now - began) / 1000));
  return {};
}

Status RlRun::Run(const std::string& config_hash) {
  R1_TRY(Prepare(config_hash));
  R1_ASSIGN(MetricsFile metrics, MetricsFile::Open(JoinPath(files_.folder, "metrics.jsonl"), state_.step));
  Progress progress(title_, config_.max_steps, state_.step);
  const double began = Now();
  while (!Done()) R1_TRY(Step(metrics, progress));
  progress.Finish(
      fmt::format("{:.2f}M tokens sampled, {}", static_cast<double>(tokens_here_) / 1e6, DurationText(Now() - began)));
  return {};
}

}  // namespace

Status RunRl(Model& model, const ModelText& text, const RlConfig& config, uint64_t seed, const std::string& folder,
             const std::string& config_hash, ThreadPool& pool, const std::string& title, const RlHooks& hooks) {
  R1_ASSIGN(const LossSettings loss, ResolveLoss(config, title));
  RlRun run(model, text, config, loss, seed, folder, pool, title, hooks);
  return run.Run(config_hash);
}

}  // namespace r1
