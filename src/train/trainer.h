// One gradient step: shards of sequences run forward and backward side by side, each into its own gradient vector; the
// vectors are added in shard order, clipped, and AdamW renews the parameters and their packed copies. The result does
// not depend on threads. Of a model with an adapter only the adapter is trained: gradients and moments are its size.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "autograd/ops.h"
#include "data/token_span.h"
#include "model/model.h"
#include "train/config.h"

namespace r1 {

// A sequence to train on or to score. The head reads it at offsets loss_from .. n-1: at offset o it has seen
// tokens[0 .. o) and predicts tokens[o], or values what it has seen. With read_end there is one more offset, n: the
// value of the whole text (value heads only, there is no token to predict).
struct TrainSequence {
  const int32_t* tokens = nullptr;
  int64_t n = 0;
  int64_t loss_from = 1;  // >= 1; n with read_end: only the whole text
  bool read_end = false;
  std::span<const TokenSpan> masked = {};  // offsets from loss_from on that are not read, in order
  bool Reads(int64_t offset) const;
};

// Some whole sequences of a shard as one batch. Head row r reads sequence `sequence_R[r]` at offset `offset_R[r]`;
// target_R[r] is the token there, -1 at the end.
struct MicroBatch {
  Batch batch;
  const int32_t* row_R = nullptr;
  const int32_t* target_R = nullptr;
  const int32_t* sequence_R = nullptr;
  const int32_t* offset_R = nullptr;
  int64_t rows = 0;
};

struct PassOptions {
  float inv_temperature = 1.0f;
  float mtp_weight = 0;          // gradient of the mean-over-targets prediction loss, 0: module not run
  float balance_alpha = 0;       // weight of the sequence-wise balance loss
  double schedule_progress = 0;  // of the learning rate, at least (train/config.h)
  bool adapter = true;           // false: the model without its adapter
};

struct StepReport {
  double grad_norm = 0;
  double learning_rate = 0;
  double mtp_loss = 0;
  double balance_loss = 0;
  bool finite = true;         // false: loss or gradient was not finite and nothing was changed
  std::vector<int64_t> load;  // [layers, experts] tokens routed
};

class Trainer {
 public:
  // The model must be built for training and outlive the trainer.
  Trainer(Model& model, const OptimizerConfig& config, ThreadPool& pool);
  ~Trainer();

  // loss(shard, micro, logprobs) sets dlogp and dentropy (gradient of the loss) and may keep sums per shard. It runs on
  // any thread, but the micro-batches of a shard come in order. step counts from 0 and drives the schedule and Adam's
  // bias correction.
  using LossFunction = std::function<void(int shard, const MicroBatch&, LogProbs&)>;
  StepReport Step(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences, const PassOptions& options,
                  const LossFunction& loss);
  // Gradient only (tests): adds the shards into gradient(); parameters stay.
  StepReport Gradient(std::span<const TrainSequence> sequences, const PassOptions& options, const LossFunction& loss);
  // Forward only, with another model's weights if given (reference policy).
  void Score(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
             const LossFunction& read);

  // A step on the targets' log-probabilities and on a teacher's distributions at the same rows; loss also sets dloss of
  // the soft targets. The teacher has the student's vocabulary.
  struct Teacher {
    const Model* model = nullptr;
    float temperature = 1.0f;
  };
  using DistillFunction = std::function<void(int shard, const MicroBatch&, LogProbs&, SoftTargets&)>;
  StepReport StepDistill(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences,
                         const PassOptions& options, const Teacher& teacher, const DistillFunction& loss);

  // Step, gradient and score for models with a scalar head: value(shard, micro, values) sets dvalue.
  using ValueFunction = std::function<void(int shard, const MicroBatch&, Values&)>;
  StepReport StepValues(int64_t step, int64_t max_steps, std::span<const TrainSequence> sequences,
                        const PassOptions& options, const ValueFunction& value);
  StepReport GradientValues(std::span<const TrainSequence> sequences, const PassOptions& options,
                            const ValueFunction& value);
  void ScoreValues(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
                   const ValueFunction& read);

  int shards() const { return static_cast<int>(shard_grad_.size()); }
  const float* gradient() const { return shard_grad_[0].data(); }
  // Adam's moments, flat as what is trained (Model::trained).
  float* first_moment() { return m_.data(); }
  float* second_moment() { return v_.data(); }
  Model& model() { return model_; }
  ThreadPool& pool() { return pool_; }

 private:
  struct Lane;  // what one thread reuses from step to step
  struct Range {
    int64_t offset, count;
    bool decay;
  };
  // What happens between the final norm and the backward pass: the head and the caller's function.
  using Head = std::function<void(Context&, int shard, const MicroBatch&, Var* hidden)>;
  static Head LanguageHead(const Model& model, const PassOptions& options, const LossFunction& loss);
  static Head ValueHead(const Model& model, const ValueFunction& value);
  void RunShard(const Model& model, int shard, int lane, std::span<const TrainSequence> sequences,
                const PassOptions& options, bool backward, const Head& head);
  void RunShards(const Model& model, std::span<const TrainSequence> sequences, const PassOptions& options,
                 bool backward, const Head& head);
  StepReport RunGradient(std::span<const TrainSequence> sequences, const PassOptions& options, const Head& head);
  StepReport Update(int64_t step, int64_t max_steps, const PassOptions& options, StepReport report);
  void CollectStats(StepReport* report) const;

  Model& model_;
  OptimizerConfig config_;
  ThreadPool& pool_;
  std::vector<AlignedBuffer<float>> shard_grad_;
  std::vector<RoutingStats> shard_stats_;
  std::vector<double> shard_mtp_loss_;
  double mtp_targets_ = 1;
  AlignedBuffer<float> m_, v_;
  std::vector<Range> ranges_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// First sequence of each shard and the end: contiguous parts of nearly equal token counts.
std::vector<int64_t> SplitShards(std::span<const TrainSequence> sequences, int shards);

}  // namespace r1
