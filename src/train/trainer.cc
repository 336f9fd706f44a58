#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace r1 {

namespace {
constexpr int64_t kRangeElements = int64_t{1} << 15;  // a task of the optimizer
}

struct Trainer::Lane {
  Context ctx;
  std::vector<int32_t> token, position, row, target, sequence, offset, next, mtp_row, mtp_target;
  std::vector<Segment> segments;
};

Trainer::~Trainer() = default;

std::vector<int64_t> SplitShards(std::span<const TrainSequence> sequences, int shards) {
  int64_t total = 0;
  for (const TrainSequence& s : sequences) total += s.n;
  std::vector<int64_t> first{0};
  int64_t seen = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    // A sequence belongs to the shard in which its middle token lies.
    const int64_t middle = seen + sequences[i].n / 2;
    while (static_cast<int64_t>(first.size()) < shards && middle * shards >= total * static_cast<int64_t>(first.size()))
      first.push_back(static_cast<int64_t>(i));
    seen += sequences[i].n;
  }
  while (static_cast<int64_t>(first.size()) <= shards) first.push_back(static_cast<int64_t>(sequences.size()));
  return first;
}

Trainer::Trainer(Model& model, const OptimizerConfig& config, ThreadPool& pool)
    : model_(model), config_(config), pool_(pool) {
  const int64_t total = model.trained().total;
  for (int64_t i = 0; i < config.grad_shards; ++i) shard_grad_.emplace_back(total);
  shard_stats_.resize(shard_grad_.size());
  shard_mtp_loss_.resize(shard_grad_.size());
  m_ = AlignedBuffer<float>(total);
  v_ = AlignedBuffer<float>(total);
  for (const ParamSpec& spec : model.trained().specs) {
    if (!spec.trainable()) continue;
    for (int64_t at = 0; at < spec.count(); at += kRangeElements) {
      const int64_t offset = spec.offset + at, count = std::min(kRangeElements, spec.count() - at);
      Range* last = ranges_.empty() ? nullptr : &ranges_.back();
      if (last != nullptr && last->decay == spec.decayed() && last->offset + last->count == offset &&
          last->count + count <= kRangeElements) {
        last->count += count;
      } else {
        ranges_.push_back({offset, count, spec.decayed()});
      }
    }
  }
  for (int i = 0; i < pool.threads(); ++i) lanes_.push_back(std::make_unique<Lane>());
}

bool TrainSequence::Reads(int64_t offset) const {
  if (offset < loss_from) return false;
  const auto after =
      std::upper_bound(masked.begin(), masked.end(), offset, [](int64_t at, const TokenSpan& m) { return at < m.end; });
  return after == masked.end() || offset < after->begin;
}

void Trainer::RunShard(const Model& model, int shard, int lane_index, std::span<const TrainSequence> sequences,
                       const PassOptions& options, bool backward, const Head& head) {
  Lane& lane = *lanes_[static_cast<size_t>(lane_index)];
  RoutingStats& stats = shard_stats_[static_cast<size_t>(shard)];
  const std::vector<int64_t> first = SplitShards(sequences, shards());
  const int64_t begin = first[static_cast<size_t>(shard)], end = first[static_cast<size_t>(shard) + 1];
  for (int64_t from = begin; from < end;) {
    lane.token.clear();
    lane.position.clear();
    lane.row.clear();
    lane.target.clear();
    lane.sequence.clear();
    lane.offset.clear();
    lane.next.clear();
    lane.mtp_row.clear();
    lane.mtp_target.clear();
    lane.segments.clear();
    int64_t to = from;
    for (; to < end; ++to) {
      const TrainSequence& s = sequences[static_cast<size_t>(to)];
      const int64_t inputs = s.read_end ? s.n : s.n - 1;  // the last token is only a target
      if (inputs < s.loss_from) continue;  // nothing to read: left out wherever the cuts between micro-batches fall
      if (to > from && static_cast<int64_t>(lane.token.size()) + inputs > config_.micro_tokens) break;
      const int64_t row = static_cast<int64_t>(lane.token.size());
      lane.segments.push_back({row, inputs, 0, 0});
      for (int64_t i = 0; i < inputs; ++i) {
        lane.token.push_back(s.tokens[i]);
        lane.position.push_back(static_cast<int32_t>(i));
        const int32_t next = i + 1 < s.n ? s.tokens[i + 1] : -1;
        lane.next.push_back(next);
        if (s.Reads(i + 1)) {
          lane.row.push_back(static_cast<int32_t>(row + i));
          lane.target.push_back(next);
          lane.sequence.push_back(static_cast<int32_t>(to));
          lane.offset.push_back(static_cast<int32_t>(i + 1));
        }
        if (options.mtp_weight > 0 && i + 2 < s.n && s.Reads(i + 2)) {
          lane.mtp_row.push_back(static_cast<int32_t>(row + i));
          lane.mtp_target.push_back(s.tokens[i + 2]);
        }
      }
    }
    from = to;
    if (lane.row.empty()) continue;
    Context& ctx = lane.ctx;
    ctx.Reset();
    ctx.recording = backward;
    ctx.low_rank = options.adapter;
    ctx.param_grad = shard_grad_[static_cast<size_t>(shard)].data();
    MicroBatch micro;
    micro.batch = {lane.token.data(), lane.position.data(), static_cast<int64_t>(lane.token.size()), lane.segments};
    micro.row_R = lane.row.data();
    micro.target_R = lane.target.data();
    micro.sequence_R = lane.sequence.data();
    micro.offset_R = lane.offset.data();
    micro.rows = static_cast<int64_t>(lane.row.size());
    Var* hidden = model.Forward(ctx, micro.batch, nullptr, &stats);
    head(ctx, shard, micro, hidden);
    if (!backward) continue;
    if (options.mtp_weight > 0) {  // also without targets here: expert load and balance must not depend on the cuts
      Var* mtp = model.ForwardMtp(ctx, micro.batch, hidden, lane.next.data(), &stats);
      LogProbs* second = HeadLogProbs(ctx, mtp, model.head(), lane.mtp_row.data(), lane.mtp_target.data(),
                                      static_cast<int64_t>(lane.mtp_row.size()), 1.0f);
      const float weight = static_cast<float>(-static_cast<double>(options.mtp_weight) / mtp_targets_);
      for (int64_t i = 0; i < second->rows; ++i) {
        second->dlogp[i] = weight;
        shard_mtp_loss_[static_cast<size_t>(shard)] -= static_cast<double>(second->logp[i]) / mtp_targets_;
      }
    }
    ctx.tape.Backward();
  }
}

void Trainer::RunShards(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
                        bool backward, const Head& head) {
  const ModelConfig& c = model.config();
  mtp_targets_ = 0;
  for (const TrainSequence& s : sequences) {
    R1_CHECK(s.loss_from >= 1, "a sequence's first token has no prediction");
    R1_CHECK(!s.read_end || c.num_labels > 0, "there is no token to predict at the end of a sequence");
    mtp_targets_ += static_cast<double>(std::max<int64_t>(0, s.n - std::max<int64_t>(s.loss_from, 2)));
    for (const TokenSpan& m : s.masked) mtp_targets_ -= static_cast<double>(m.end - m.begin);
  }
  mtp_targets_ = std::max(mtp_targets_, 1.0);
  const float sequences_count = static_cast<float>(std::max<size_t>(sequences.size(), 1));
  for (RoutingStats& stats : shard_stats_) {
    stats.load.assign(
        c.is_mla() ? static_cast<size_t>((c.num_hidden_layers + c.num_nextn_predict_layers) * c.n_routed_experts) : 0,
        0);
    stats.balance_loss = 0;
    stats.balance_alpha = options.balance_alpha;
    stats.balance_scale = 1.0f / sequences_count;
  }
  std::fill(shard_mtp_loss_.begin(), shard_mtp_loss_.end(), 0.0);
  pool_.ParallelFor(shards(), [&](int64_t shard, int lane) {
    AlignedBuffer<float>& grad = shard_grad_[static_cast<size_t>(shard)];
    if (backward) std::memset(grad.data(), 0, static_cast<size_t>(grad.size()) * sizeof(float));
    RunShard(model, static_cast<int>(shard), lane, sequences, options, backward, head);
  });
}

void Trainer::CollectStats(StepReport* report) const {
  report->load = shard_stats_[0].load;
  for (size_t s = 0; s < shard_stats_.size(); ++s) {
    for (size_t i = 0; s > 0 && i < report->load.size(); ++i) report->load[i] += shard_stats_[s].load[i];
    report->balance_loss += static_cast<double>(shard_stats_[s].balance_loss * shard_stats_[s].balance_scale);
    report->mtp_loss += shard_mtp_loss_[s];
  }
}

Trainer::Head Trainer::LanguageHead(const Model& model, const PassOptions& options, const LossFunction& loss) {
  R1_CHECK(model.config().num_labels == 0, "log-probabilities of a model without a language head");
  return [&](Context& ctx, int shard, const MicroBatch& micro, Var* hidden) {
    loss(shard, micro,
         *HeadLogProbs(ctx, hidden, model.head(), micro.row_R, micro.target_R, micro.rows, options.inv_temperature));
  };
}

Trainer::Head Trainer::ValueHead(const Model& model, const ValueFunction& value) {
  R1_CHECK(model.config().num_labels == 1, "values of a model without a scalar head");
  return [&](Context& ctx, int shard, const MicroBatch& micro, Var* hidden) {
    value(shard, micro, *ScalarHead(ctx, hidden, model.score(), micro.row_R, micro.rows));
  };
}

void Trainer::Score(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
                    const LossFunction& read) {
  RunShards(model, sequences, options, false, LanguageHead(model, options, read));
}

void Trainer::ScoreValues(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
                          const ValueFunction& read) {
  RunShards(model, sequences, options, false, ValueHead(model, read));
}

StepReport Trainer::Gradient(std::span<const TrainSequence> sequences, const PassOptions& options,
                             const LossFunction& loss) {
  return RunGradient(sequences, options, LanguageHead(model_, options, loss));
}

StepReport Trainer::GradientValues(std::span<const TrainSequence> sequences, const PassOptions& options,
                                   const ValueFunction& value) {
  return RunGradient(sequences, options, ValueHead(model_, value));
}

StepReport Trainer::Step(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences,
                         const PassOptions& options, const LossFunction& loss) {
  return Update(step, max_steps, options, Gradient(sequences, options, loss));
}

StepReport Trainer::StepDistill(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences,
                                const PassOptions& options, const Teacher& teacher, const DistillFunction& loss) {
  R1_CHECK(model_.config().num_labels == 0 && teacher.model->config().num_labels == 0,
           "distillation between language models only");
  const Head head = [&](Context& ctx, int shard, const MicroBatch& micro, Var* hidden) {
    LogProbs* logp =
        HeadLogProbs(ctx, hidden, model_.head(), micro.row_R, micro.target_R, micro.rows, options.inv_temperature);
    ctx.recording = false;  // nothing goes back into the teacher
    const Var* teacher_hidden = teacher.model->Forward(ctx, micro.batch, nullptr, nullptr);
    ctx.recording = true;
    loss(shard, micro, *logp,
         *HeadSoftTargets(ctx, hidden, model_.head(), teacher_hidden, teacher.model->head(), micro.row_R, micro.rows,
                          teacher.temperature));
  };
  return Update(step, max_steps, options, RunGradient(sequences, options, head));
}

StepReport Trainer::StepValues(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences,
                               const PassOptions& options, const ValueFunction& value) {
  return Update(step, max_steps, options, GradientValues(sequences, options, value));
}

StepReport Trainer::RunGradient(std::span<const TrainSequence> sequences, const PassOptions& options,
                                const Head& head) {
  RunShards(model_, sequences, options, true, head);
  StepReport report;
  CollectStats(&report);
  const kernels::KernelTable& k = kernels::Kernels();
  std::vector<double> squares(ranges_.size());
  pool_.ParallelFor(static_cast<int64_t>(ranges_.size()), [&](int64_t i, int) {
    const Range& r = ranges_[static_cast<size_t>(i)];
    float* g = shard_grad_[0].data() + r.offset;
    for (size_t s = 1; s < shard_grad_.size(); ++s) k.add(g, shard_grad_[s].data() + r.offset, r.count);
    squares[static_cast<size_t>(i)] = k.sum_squares(g, r.count);
  });
  double total = 0;
  for (double s : squares) total += s;
  report.grad_norm = std::sqrt(total);
  report.finite = std::isfinite(total);
  return report;
}

StepReport Trainer::Update(int64_t step, int64_t max_steps, const PassOptions& options, StepReport report) {
  report.learning_rate = LearningRateAt(config_, step, max_steps, options.schedule_progress);
  if (!report.finite) return report;
  const double scale = config_.max_grad_norm > 0 && report.grad_norm > config_.max_grad_norm
                           ? config_.max_grad_norm / report.grad_norm
                           : 1.0;
  const double t = static_cast<double>(step + 1);
  const kernels::KernelTable& k = kernels::Kernels();
  pool_.ParallelFor(static_cast<int64_t>(ranges_.size()), [&](int64_t i, int) {
    const Range& r = ranges_[static_cast<size_t>(i)];
    k.adamw({.w = model_.trained_data() + r.offset,
             .m = m_.data() + r.offset,
             .v = v_.data() + r.offset,
             .g = shard_grad_[0].data() + r.offset,
             .n = r.count,
             .lr = static_cast<float>(report.learning_rate),
             .beta1 = static_cast<float>(config_.adam_beta1),
             .beta2 = static_cast<float>(config_.adam_beta2),
             .eps = static_cast<float>(config_.adam_epsilon),
             .weight_decay = r.decay ? static_cast<float>(config_.weight_decay) : 0.0f,
             .bias1 = static_cast<float>(1.0 - std::pow(config_.adam_beta1, t)),
             .bias2 = static_cast<float>(1.0 - std::pow(config_.adam_beta2, t)),
             .grad_scale = static_cast<float>(scale)});
  });
  const bool frozen = model_.adapter() != nullptr;
  if (config_.router_bias_update > 0 && !report.load.empty() && !frozen)
    model_.UpdateRouterBias(report.load, config_.router_bias_update);
  model_.PackTrained(pool_);
  return report;
}

}  // namespace r1
