// Training of reward models, values read from a scalar head (num_labels 1):
//   helpful  r(prompt, reply) from pairs, Bradley-Terry: loss = -log sigmoid(r_chosen - r_rejected)   (R1
//   report, 2.3.4) safety   P(safe) = sigmoid(value at the end), binary cross-entropy process  P(step right) =
//   sigmoid(value at the end of every step), binary cross-entropy
// Prompts are split by a hash into training and held-out ones; after the last step the held-out ones are measured.
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "data/preference_data.h"
#include "train/config.h"
#include "train/sft.h"
#include "train/trainer.h"

namespace r1 {

struct RewardModelConfig {
  std::string reward_kind = "helpful";
  OptimizerConfig optimizer = SftConfig::SftOptimizer();
  int64_t num_train_epochs = 2;
  int64_t batch_pairs = 64;
  double held_out_share = 0.1;
  double balance_loss_weight = 1e-4;
  int64_t save_steps = 100;
  int64_t save_total_limit = 2;

  template <class V>
  void Fields(V& v) {
    v("reward_kind", reward_kind, "helpful (pairs of replies), safety (labelled replies) or process (labelled steps)");
    optimizer.Fields(v);
    v("num_train_epochs", num_train_epochs, "times every example is read");
    v("batch_pairs", batch_pairs, "examples (pairs, replies or replies in steps) of an optimizer step");
    v("held_out_share", held_out_share, "share of prompts kept for measuring the model");
    v("balance_loss_weight", balance_loss_weight, "weight of the sequence-wise expert balance loss");
    v("save_steps", save_steps, "steps between checkpoints; 0: only the last");
    v("save_total_limit", save_total_limit, "checkpoints kept; 0: all");
  }
};
Status ValidateRewardModelConfig(const RewardModelConfig& config, const std::string& where);

// Quality of a reward model on examples it was not trained on. A decision is which reply of a pair is better, or
// whether a reply or step is good; its confidence is the probability of what was decided, in 0.5 .. 1.
struct RewardModelEval {
  struct Bin {
    double confidence = 0, accuracy = 0;  // means over the bin's decisions
    int64_t count = 0;
  };
  int64_t decisions = 0;
  double accuracy = 0, accuracy_stderr = 0;  // by prompt: decisions on one prompt are not independent
  double brier = 0;                          // mean squared error of the probability of the label
  double ece = 0;         // expected calibration error: sum over bins of share * |confidence - accuracy|
  std::vector<Bin> bins;  // ten, of equal width over 0.5 .. 1
};
// Of the trainer's model. Without examples the figures are NaN.
RewardModelEval EvaluateRewardModel(Trainer& trainer, const std::vector<RewardExample>& examples);

// Trains model (with a scalar head, initialised by the caller) in folder; resumes from its newest checkpoint; after the
// last step writes eval.json. On Ctrl-C it saves and returns kInterrupted. title names the progress line.
Status RunRewardModel(Model& model, const ModelText& text, const std::vector<RewardExample>& examples,
                      const RewardModelConfig& config, uint64_t seed, const std::string& folder,
                      const std::string& config_hash, ThreadPool& pool, const std::string& title);

}  // namespace r1
