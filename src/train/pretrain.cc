#include "train/pretrain.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/interrupt.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/corpus_stream.h"

namespace r1 {

namespace {
double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
constexpr int kMaxBadSteps = 3;  // non-finite steps in a row before training stops
}  // namespace

Status ValidatePretrainConfig(const PretrainConfig& c, const std::string& where) {
  R1_TRY(ValidateOptimizerConfig(c.optimizer, where));
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.max_steps < 1) return fail("max_steps must be at least 1");
  if (c.tokens_per_step < 32 || c.tokens_per_step > (int64_t{1} << 26))
    return fail("tokens_per_step must be in 32 .. 67108864");
  if (!(c.mtp_loss_weight >= 0 && c.mtp_loss_weight <= 10)) return fail("mtp_loss_weight must be in 0 .. 10");
  if (!(c.balance_loss_weight >= 0 && c.balance_loss_weight <= 10))
    return fail("balance_loss_weight must be in 0 .. 10");
  if (c.save_steps < 0 || c.save_total_limit < 0) return fail("save_steps and save_total_limit must not be negative");
  return {};
}

Status RunPretrain(Model& model, const Tokenizer& tokenizer, const PretrainConfig& config, uint64_t seed,
                   const std::string& folder, const std::string& config_hash, ThreadPool& pool,
                   const std::string& title) {
  R1_TRY(MakeDirs(folder));
  const StageFiles files{folder, config.save_steps, config.save_total_limit};
  Trainer trainer(model, config.optimizer, pool);
  TrainState state{"pretrain", 0, seed, 0, 0, 0, config_hash};
  R1_ASSIGN(const std::optional<TrainState> resumed, ResumeTraining(files, state, trainer, nullptr));
  if (resumed.has_value()) {
    state = *resumed;
    if (state.step < config.max_steps) LogInfo(fmt::format("{}: resuming after step {}", title, state.step));
  } else {
    model.Pack(pool);
  }
  R1_ASSIGN(MetricsFile metrics, MetricsFile::Open(JoinPath(folder, "metrics.jsonl"), state.step));
  PassOptions options;
  options.mtp_weight = model.config().num_nextn_predict_layers > 0 ? static_cast<float>(config.mtp_loss_weight) : 0.0f;
  options.balance_alpha = static_cast<float>(config.balance_loss_weight);
  Progress progress(title, config.max_steps, state.step);
  const double began = Now();
  const int64_t tokens_before = state.num_tokens;
  int bad_steps = 0;
  std::vector<double> shard_loss(static_cast<size_t>(trainer.shards()));
  std::vector<TrainSequence> sequences;
  double shown_loss = 0;
  while (state.step < config.max_steps) {
    const double step_began = Now();
    const CorpusBatch batch = CorpusBatchAt(tokenizer, seed, state.cursor, config.tokens_per_step);
    sequences.clear();
    int64_t targets = 0;
    for (const TokenDocument& d : batch.documents) {
      sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from});
      targets += static_cast<int64_t>(d.tokens.size()) - d.loss_from;
    }
    std::fill(shard_loss.begin(), shard_loss.end(), 0.0);
    const float weight = -1.0f / static_cast<float>(targets);
    const StepReport report = trainer.Step(state.optimizer_steps, config.max_steps, sequences, options,
                                           [&](int shard, const MicroBatch& micro, LogProbs& logp) {
                                             for (int64_t i = 0; i < micro.rows; ++i) {
                                               logp.dlogp[i] = weight;
                                               shard_loss[static_cast<size_t>(shard)] -=
                                                   static_cast<double>(logp.logp[i]);
                                             }
                                           });
    double loss = 0;
    for (double l : shard_loss) loss += l;
    loss /= static_cast<double>(targets);
    if (!report.finite || !std::isfinite(loss)) {
      LogWarn(fmt::format("{}: step {}: loss or gradient is not finite; the step is skipped", title, state.step + 1));
      if (++bad_steps == kMaxBadSteps)
        return Error{ErrorCode::kInternal,
                     fmt::format("{}: {} steps in a row were not finite; lower learning_rate", title, kMaxBadSteps)};
    } else {
      bad_steps = 0;
    }
    state.cursor = batch.next_cursor;
    state.num_tokens += batch.tokens;
    ++state.step;
    ++state.optimizer_steps;
    shown_loss = shown_loss == 0 ? loss : 0.95 * shown_loss + 0.05 * loss;
    const double now = Now();
    Metrics m = {{"loss", loss},
                 {"tokens", static_cast<double>(batch.tokens)},
                 {"learning_rate", report.learning_rate},
                 {"grad_norm", report.grad_norm},
                 {"num_tokens", static_cast<double>(state.num_tokens)}};
    if (options.mtp_weight > 0) m.emplace_back("mtp_loss", report.mtp_loss);
    AppendLoadMetrics(model.config(), report, &m);
    m.emplace_back("step_time", now - step_began);
    m.emplace_back("tokens_per_second", static_cast<double>(batch.tokens) / (now - step_began));
    R1_TRY(metrics.Write(state.step, m));
    KillPoint("pretrain.after_metrics");
    const bool last = state.step == config.max_steps, stop = Interrupted();
    if (last || stop || (config.save_steps > 0 && state.step % config.save_steps == 0)) {
      R1_TRY(metrics.Sync());
      R1_TRY(SaveTraining(files, state, trainer, tokenizer, nullptr));
    }
    if (stop && !last)
      return Error{
          ErrorCode::kInterrupted,
          fmt::format("{}: interrupted; step {} is saved, run the same command again to go on", title, state.step)};
    if (state.step % 20 == 0 || last || StderrIsTerminal()) {
      progress.Update(state.step,
                      fmt::format("loss {:.3f}  grad {:.2f}  lr {:.1e}  {:.1f}k tok/s", shown_loss, report.grad_norm,
                                  report.learning_rate,
                                  static_cast<double>(state.num_tokens - tokens_before) / (now - began) / 1000));
    }
  }
  progress.Finish(fmt::format("{:.2f}M tokens, loss {:.3f}, {}", static_cast<double>(state.num_tokens) / 1e6,
                              shown_loss, DurationText(Now() - began)));
  return {};
}

}  // namespace r1
