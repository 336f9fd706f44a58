#include "train/stage_loop.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "base/interrupt.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/progress.h"

namespace r1 {

namespace {
double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
constexpr int kMaxBadSteps = 3;  // non-finite steps in a row before training stops
}  // namespace

Status RunStageLoop(const StageLoop& loop, Trainer& trainer, const ModelText& text,
                    const std::function<StageStep(const TrainState&)>& step) {
  R1_TRY(MakeDirs(loop.files.folder));
  TrainState state{loop.kind, 0, loop.seed, 0, 0, 0, loop.config_hash};
  R1_ASSIGN(const std::optional<TrainState> resumed, ResumeTraining(loop.files, state, trainer, nullptr));
  if (resumed.has_value()) {
    state = *resumed;
    if (state.step < loop.max_steps) LogInfo(fmt::format("{}: resuming after step {}", loop.title, state.step));
  } else {
    trainer.model().Pack(trainer.pool());
  }
  R1_ASSIGN(MetricsFile metrics, MetricsFile::Open(JoinPath(loop.files.folder, "metrics.jsonl"), state.step));
  Progress progress(loop.title, loop.max_steps, state.step);
  const double began = Now();
  const int64_t tokens_before = state.num_tokens;
  const std::string kill_point = loop.kind + ".after_metrics";
  int bad_steps = 0;
  double shown_loss = 0;
  while (state.step < loop.max_steps) {
    const double step_began = Now();
    const StageStep done = step(state);
    if (!done.report.finite || !std::isfinite(done.loss)) {
      LogWarn(
          fmt::format("{}: step {}: loss or gradient is not finite; the step is skipped", loop.title, state.step + 1));
      if (++bad_steps == kMaxBadSteps)
        return Error{ErrorCode::kInternal, fmt::format("{}: {} steps in a row were not finite; lower learning_rate",
                                                       loop.title, kMaxBadSteps)};
    } else {
      bad_steps = 0;
    }
    state.cursor = done.next_cursor;
    state.num_tokens += done.tokens;
    ++state.step;
    ++state.optimizer_steps;
    shown_loss = shown_loss == 0 ? done.loss : 0.95 * shown_loss + 0.05 * done.loss;
    const double now = Now();
    Metrics m = {{"loss", done.loss},
                 {"tokens", static_cast<double>(done.tokens)},
                 {"learning_rate", done.report.learning_rate},
                 {"grad_norm", done.report.grad_norm},
                 {"num_tokens", static_cast<double>(state.num_tokens)}};
    m.insert(m.end(), done.metrics.begin(), done.metrics.end());
    AppendLoadMetrics(trainer.model().config(), done.report, &m);
    m.emplace_back("step_time", now - step_began);
    m.emplace_back("tokens_per_second", static_cast<double>(done.tokens) / (now - step_began));
    R1_TRY(metrics.Write(state.step, m));
    KillPoint(kill_point.c_str());
    const bool last = state.step == loop.max_steps, stop = Interrupted();
    if (last || stop || (loop.files.save_steps > 0 && state.step % loop.files.save_steps == 0)) {
      R1_TRY(metrics.Sync());
      R1_TRY(SaveTraining(loop.files, state, trainer, text, nullptr));
    }
    if (stop && !last)
      return Error{ErrorCode::kInterrupted,
                   fmt::format("{}: interrupted; step {} is saved, run the same command again to go on", loop.title,
                               state.step)};
    if (state.step % 20 == 0 || last || StderrIsTerminal()) {
      progress.Update(state.step,
                      fmt::format("loss {:.3f}  grad {:.2f}  lr {:.1e}  {:.1f}k tok/s", shown_loss,
                                  done.report.grad_norm, done.report.learning_rate,
                                  static_cast<double>(state.num_tokens - tokens_before) / (now - began) / 1000));
    }
  }
  progress.Finish(fmt::format("{:.2f}M tokens, loss {:.3f}, {}", static_cast<double>(state.num_tokens) / 1e6,
                              shown_loss, DurationText(Now() - began)));
  return {};
}

StageStep TokenStep(Trainer& trainer, const TrainState& state, int64_t max_steps, const CorpusBatch& batch,
                    const PassOptions& options, const Distillation& distillation) {
  std::vector<TrainSequence> sequences;
  int64_t targets = 0;
  for (const TokenDocument& d : batch.documents) {
    sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from, false, d.masked});
    targets += static_cast<int64_t>(d.tokens.size()) - d.loss_from;
    for (const TokenSpan& m : d.masked) targets -= m.end - m.begin;
  }
  const size_t shards = static_cast<size_t>(trainer.shards());
  std::vector<double> text_loss(shards, 0.0), soft_loss(shards, 0.0);
  const bool soft = distillation.teacher.model != nullptr;
  const double count = static_cast<double>(targets), text_share = soft ? 1 - distillation.alpha : 1;
  const float weight = static_cast<float>(-text_share) / static_cast<float>(targets);
  const auto read_text = [&](int shard, const MicroBatch& micro, LogProbs& logp) {
    for (int64_t i = 0; i < micro.rows; ++i) {
      logp.dlogp[i] = weight;
      text_loss[static_cast<size_t>(shard)] -= static_cast<double>(logp.logp[i]);
    }
  };
  StageStep out;
  if (soft) {
    out.report = trainer.StepDistill(state.optimizer_steps, max_steps, sequences, options, distillation.teacher,
                                     [&](int shard, const MicroBatch& micro, LogProbs& logp, SoftTargets& targets_of) {
                                       read_text(shard, micro, logp);
                                       for (int64_t i = 0; i < micro.rows; ++i) {
                                         targets_of.dloss[i] = static_cast<float>(distillation.alpha / count);
                                         soft_loss[static_cast<size_t>(shard)] +=
                                             static_cast<double>(targets_of.loss[i]);
                                       }
                                     });
  } else {
    out.report = trainer.Step(state.optimizer_steps, max_steps, sequences, options, read_text);
  }
  double text = 0, kl = 0;
  for (size_t s = 0; s < shards; ++s) {
    text += text_loss[s];
    kl += soft_loss[s];
  }
  text /= count;
  kl /= count;
  out.loss = soft ? text_share * text + distillation.alpha * kl : text;
  out.tokens = batch.tokens;
  out.next_cursor = batch.next_cursor;
  if (options.mtp_weight > 0) out.metrics.emplace_back("mtp_loss", out.report.mtp_loss);
  if (soft) {
    out.metrics.emplace_back("text_loss", text);
    out.metrics.emplace_back("distill_loss", kl);
  }
  return out;
}

}  // namespace r1
